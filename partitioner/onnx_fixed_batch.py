"""ONNX files whose batch is fixed to 1, as exporters leave it unless told otherwise, or not told for sure.

Another batch is allowed where it is shown to change nothing: the model gives for one item what the file gives, and for
a batch what its items give one by one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper

from isthmus.errors import InvalidModel
from partitioner.named_few import named_few
from partitioner.onnx_dynamic_scales import ONE_STEP, has_dynamic_scales, held_scales
from partitioner.onnx_inputs import OnnxInputs
from partitioner.onnx_model import OnnxModel
from partitioner.onnx_session import OnnxSession
from partitioner.onnx_trial import run_once
from partitioner.program import TensorType
from partitioner.pseudo_names import RESERVED

__all__ = ["check_as_written", "check_items_apart", "unborne_batch"]

_ITEMS = 2
# By this share of the largest value results may differ: kernels for other sizes add in another order.
_TOLERANCE = 1e-4
_TOLERANCE_16_BIT = 2e-2
_LEAST_VALUE = 1e-3


def unborne_batch(inputs: OnnxInputs, why: str, blamed: Collection[str] = ()) -> InvalidModel:
    """The refusal of a file that works for a batch of 1 only, or for none where one was looked for.

    blamed: the inputs that it may be the fault of; any without a proven batch unless said.
    """
    names = tuple(blamed or inputs.unproven)
    remedy = "export it with a dynamic batch dimension, the first one, or give example inputs where sizes are open"
    if len(names) == 1:
        at = inputs.batch_of(names[0])
        fixed_at = f"fixed to 1 in dimension {at}" if at else "fixed to 1"
        found = fixed_at if names[0] in inputs.opened else f"in dimension {at}, by its open sizes"
        return InvalidModel(f"input {names[0]!r}", f"has its batch {found}, and {why}", remedy=remedy)
    fixed = all(name in inputs.opened for name in names)
    found = "fixed to 1" if fixed else f"in {inputs.shown_batch(names)}, by sizes that are open or 1"
    shown = named_few([repr(name) for name in names])
    return InvalidModel(f"inputs {shown}", f"have their batch {found}, and {why}", remedy=remedy)


def check_as_written(
    model: OnnxModel, inputs: OnnxInputs, file: onnx.ModelProto, weights: Mapping[str, torch.Tensor]
) -> None:
    """Raise InvalidModel unless the model gives for one item what the file gives as it is written.

    file, weights: as they were read, only inputs pinned.
    """
    one = {name: _sample(kind, 1) for name, kind in inputs.types.items()}
    found = model.segment(model.graph.inputs, model.graph.outputs)(*one.values())
    asked, shown = onnx.ModelProto(), {name: f"{RESERVED}{name}" for name in model.graph.outputs}
    asked.CopyFrom(file)
    asked.graph.node.extend(helper.make_node("Identity", [name], [copy]) for name, copy in shown.items())
    expected = run_once(asked, {**one, **weights}, list(shown.values()))
    for name, tensor in zip(model.graph.outputs, found, strict=True):
        if not _close(tensor.numpy(), expected[shown[name]]):
            raise unborne_batch(inputs, f"{name!r} of one item is not what the file gives as it is written")


def check_items_apart(model: OnnxModel, inputs: OnnxInputs) -> None:
    """Raise InvalidModel unless a batch gives what its items give one by one, each output in its own place.

    An output that has no batch must be the same for all. Items are quantised by their batch's scales where those follow
    from what is in it (`held_scales`); one step is then allowed.
    """
    batch = tuple(_sample(kind, _ITEMS) for kind in inputs.types.values())
    is_dynamic = has_dynamic_scales(model)
    form = held_scales(model, batch) if is_dynamic else model.onnx_form
    # Not `whole`, which would keep its session for good.
    run = OnnxSession(form, model.graph.inputs, model.graph.outputs, threads=torch.get_num_threads(), exact=True)
    whole, least = run(*batch), ONE_STEP if is_dynamic else 0.0
    for item in range(_ITEMS):
        alone = run(*(_item(t, kind, item) for t, kind in zip(batch, inputs.types.values(), strict=True)))
        for name, both, one in zip(model.graph.outputs, whole, alone, strict=True):
            kind = TensorType(model.graph.tensors[name].dtype, model.graph.tensors[name].shape)
            if len(_batch_dimensions(kind)) > 1 or not _close(_item(both, kind, item).numpy(), one.numpy(), least):
                problem = f"{name!r} of a batch is not what its items give one by one"
                raise unborne_batch(inputs, problem, _behind(model, inputs, name))


def _behind(model: OnnxModel, inputs: OnnxInputs, output: str) -> list[str]:
    """The inputs without a proven batch that an output is made of."""
    wanted = {output}
    for op in reversed(model.graph.ops):
        if not wanted.isdisjoint(op.outputs):
            wanted.update(op.inputs)
    return [name for name in inputs.unproven if name in wanted]


def _sample(kind: TensorType, items: int) -> torch.Tensor:
    """Noise; zeros and ones for integers: valid indices, and no two items alike."""
    noise = torch.randn([d.at(items) for d in kind.shape], generator=torch.Generator().manual_seed(0))
    dtype = getattr(torch, kind.dtype)
    return noise.to(dtype) if dtype.is_floating_point else (noise > 0).to(dtype)


def _batch_dimensions(kind: TensorType) -> list[int]:
    return [at for at, dimension in enumerate(kind.shape) if dimension.per_item]


def _item(tensor: torch.Tensor, kind: TensorType, item: int) -> torch.Tensor:
    """It of a batch of two; the whole of what has no batch."""
    places = _batch_dimensions(kind)
    return tensor.chunk(_ITEMS, places[0])[item] if places else tensor


def _close(found: Any, expected: Any, least_share: float = 0.0) -> bool:
    """Of two arrays. least_share: of the largest value, by which they may differ whatever their precision."""
    if found.shape != expected.shape or found.dtype.name != expected.dtype.name:
        return False
    if found.dtype.kind != "f":
        return bool(np.array_equal(found, expected))
    share = max(least_share, _TOLERANCE_16_BIT if found.dtype.itemsize == 2 else _TOLERANCE)
    wide, beside = found.astype(np.float64), expected.astype(np.float64)
    largest = max(_LEAST_VALUE, float(np.abs(beside[np.isfinite(beside)]).max(initial=0.0)))
    return bool(np.allclose(wide, beside, rtol=share, atol=share * largest, equal_nan=True))
