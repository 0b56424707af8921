"""Floating point operations of every op, as a law of the batch size: torch's flop counter where it has a formula."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import torch
from torch import fx
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from partitioner.derive_graph import op_calls
from partitioner.graph import Dimension
from partitioner.lowering import CALL, lower
from partitioner.program import Call, Program, TensorType

__all__ = ["count_flops"]

# The batch sizes of the two runs; none is 1, which some formulas treat as a special case.
_BATCHES = (2, 5)

# What a call does per element that it reads or writes, where no formula counts multiplications. These ops are bound by
# memory, so the number only has to rank them near the truth; moving data counts nothing.
_PER_ELEMENT: Mapping[str, int] = {
    "_softmax": 5,
    "softmax": 5,
    "native_layer_norm": 5,
    "layer_norm": 5,
    "group_norm": 5,
    "native_group_norm": 5,
    "_native_batch_norm_legit_no_training": 2,
    "gelu": 8,
    "silu": 5,
    "sigmoid": 4,
    "tanh": 6,
    "exp": 4,
    "log": 4,
    "erf": 8,
}
_MOVES_DATA = frozenset(
    {
        "view",
        "reshape",
        "permute",
        "transpose",
        "t",
        "unsqueeze",
        "squeeze",
        "expand",
        "slice",
        "select",
        "clone",
        "contiguous",
        "alias",
        "detach",
        "split",
        "chunk",
        "split_with_sizes",
        "cat",
        "stack",
        "pad",
        "constant_pad_nd",
        "embedding",
        "index_select",
        "_to_copy",
        "to",
        "lift_fresh_copy",
        "unbind",
        "copy",
        "flatten",
        "unflatten",
        "narrow",
        "gather",
        "index",
        "repeat",
        "full",
        "arange",
        "zeros",
        "ones",
    }
)


def count_flops(program: Program, weights: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, int]]:
    """(per item, fixed) by op name: flops(batch) = per_item * batch + fixed. Fake tensors run twice.

    A multiply-add counts two. Ops without a formula in torch get an estimate from the elements that they touch.
    """
    counted = [_run(program, weights, batch) for batch in _BATCHES]
    return {call.name: _law(counted[0][call.name], counted[1][call.name]) for call in op_calls(program)}


def _law(low: int, high: int) -> tuple[int, int]:
    per_item = (high - low) // (_BATCHES[1] - _BATCHES[0])
    return per_item, low - per_item * _BATCHES[0]


def _run(program: Program, weights: Mapping[str, torch.Tensor], batch: int) -> dict[str, int]:
    counter = _Counter(lower(program, weights, program.inputs, program.outputs))
    inputs = [counter.fake(program.types[name], batch) for name in program.inputs]
    with counter.mode, counter.total:
        counter.run(*inputs)
    return {c.name: counter.flops.get(c.name) or _estimate(program, c, batch) for c in op_calls(program)}


class _Counter(fx.Interpreter):
    """Runs a module on fake tensors inside its flop counter; what each call adds is in `flops`, by its name."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.mode, self.flops = FakeTensorMode(), dict[str, int]()
        self.total = FlopCounterMode(display=False)  # one for all: making one costs more than most calls

    def fake(self, kind: TensorType, batch: int) -> FakeTensor:
        with self.mode:
            made = torch.empty([d.at(batch) for d in kind.shape], dtype=getattr(torch, kind.dtype))
        assert isinstance(made, FakeTensor)
        return made

    def fetch_attr(self, target: str) -> Any:
        return self.mode.from_tensor(super().fetch_attr(target))

    def run_node(self, n: fx.Node) -> Any:
        before = self.total.get_total_flops()
        result = super().run_node(n)
        if CALL in n.meta:
            self.flops[n.meta[CALL]] = self.total.get_total_flops() - before
        return result


def _estimate(program: Program, call: Call, batch: int) -> int:
    kind = call.kind
    shapes = [_shape(program, name, batch) for name in call.refs() if name in program.types]
    if "scaled_dot_product" in kind:
        return _attention(shapes)
    if kind in _MOVES_DATA:
        return 0
    made = prod(_shape(program, call.name, batch)) if call.name in program.types else 0
    touched = max([made, *(prod(s) for s in shapes)])
    return touched * _PER_ELEMENT.get(kind, 1)


def _attention(shapes: list[tuple[int, ...]]) -> int:
    """Two matrix products: queries by keys over the head's width, then weights by values."""
    (*heads, queries, width), keys, values = shapes[:3]
    return 2 * prod(heads) * queries * keys[-2] * (width + values[-1])


def _shape(program: Program, name: str, batch: int) -> tuple[int, ...]:
    shape: tuple[Dimension, ...] = program.types[name].shape
    return tuple(d.at(batch) for d in shape)
