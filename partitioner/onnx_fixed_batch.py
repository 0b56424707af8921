"""ONNX files whose batch is fixed to 1, as exporters leave it unless told otherwise.

Another batch is allowed where it is shown to change nothing: sizes that were written down are opened, and then a batch
must give what its items give one by one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from isthmus.errors import InvalidModel
from partitioner.onnx_inputs import OnnxInputs
from partitioner.onnx_model import OnnxModel
from partitioner.program import TensorType

__all__ = ["check_items_apart", "fixed_batch", "open_reshapes"]

_ITEMS = 2
_TOLERANCE = 1e-4


def fixed_batch(inputs: OnnxInputs, why: str) -> InvalidModel:
    """The refusal of a file that works for a batch of 1 only."""
    remedy = "export it with a dynamic batch dimension"
    return InvalidModel(f"input {inputs.opened[0]!r}", f"has its batch fixed to 1, and {why}", remedy=remedy)


def open_reshapes(proto: onnx.ModelProto) -> None:
    """Let the first size of every Reshape follow from the others, in place. It is the same for a batch of 1."""
    sizes = {i.name: i for i in proto.graph.initializer}
    for node in proto.graph.node:
        if node.op_type == "Reshape" and node.input[1] in sizes:
            written = [int(size) for size in numpy_helper.to_array(sizes[node.input[1]])]
            opened = _opened(written)
            if opened != written:
                del node.attribute[:]  # allowzero: no size that was written is 0
                node.input[1] = f"{node.name}/opened shape"
                proto.graph.initializer.append(numpy_helper.from_array(np.array(opened, np.int64), node.input[1]))


def _opened(sizes: list[int]) -> list[int]:
    if not sizes or 0 in sizes:
        return sizes
    if -1 not in sizes:
        return [-1, *sizes[1:]]
    return [0, *sizes[1:]] if sizes[0] == 1 else sizes  # 0: as the input has it


def check_items_apart(model: OnnxModel, inputs: OnnxInputs) -> None:
    """Raise InvalidModel unless a batch gives what its items give one by one, each output in its own place."""
    batch = tuple(_sample(kind) for kind in inputs.types.values())
    whole = model(*batch)
    for item in range(_ITEMS):
        alone = model(*(_item(t, kind, item) for t, kind in zip(batch, inputs.types.values(), strict=True)))
        for name, both, one in zip(model.graph.outputs, whole, alone, strict=True):
            kind = TensorType(model.graph.tensors[name].dtype, model.graph.tensors[name].shape)
            if len(list(_batch_dimensions(kind))) != 1 or not _close(_item(both, kind, item), one):
                raise fixed_batch(inputs, f"{name!r} of a batch is not what its items give one by one")


def _sample(kind: TensorType) -> torch.Tensor:
    """Noise; zeros and ones for integers: valid indices, and no two items alike."""
    noise = torch.randn([d.at(_ITEMS) for d in kind.shape], generator=torch.Generator().manual_seed(0))
    dtype = getattr(torch, kind.dtype)
    return noise.to(dtype) if dtype.is_floating_point else (noise > 0).to(dtype)


def _batch_dimensions(kind: TensorType) -> Iterator[int]:
    return (at for at, dimension in enumerate(kind.shape) if dimension.per_item and not dimension.fixed)


def _item(tensor: torch.Tensor, kind: TensorType, item: int) -> torch.Tensor:
    return tensor.chunk(_ITEMS, next(_batch_dimensions(kind)))[item]


def _close(found: torch.Tensor, expected: torch.Tensor) -> bool:
    if found.shape != expected.shape:
        return False
    return torch.allclose(found.float(), expected.float(), rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True)
