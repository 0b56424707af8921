"""Checks a request's inputs against the model's description: names, datatypes, shapes, one batch for all."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch

from isthmus.errors import InvalidRequest
from nodes.datatypes import datatype_of_dtype
from nodes.gateway import ModelDescription, TensorDescription
from nodes.inputs import ModelInputs, RequestInput
from nodes.limits import NodeLimits
from nodes.preprocessing import ImageBatch

__all__ = ["check_inputs"]


def check_inputs(model: ModelDescription, given: Sequence[RequestInput], limits: NodeLimits) -> ModelInputs:
    """The inputs of a request for `model`. Raises InvalidRequest naming the input, the value and the remedy, TooLarge
    for files that become too large a tensor; of tensors, that is checked before. Tensors are read last: reading one
    that is refused then would be work for nothing, as much as a client likes."""
    by_name = {value.name: value for value in given}
    expected = [tensor.name for tensor in model.inputs]
    if by_name.keys() != set(expected):
        _refuse_names(model, by_name, expected)
    for tensor in model.inputs:
        _check_one(tensor, by_name[tensor.name])
    batch = _common_batch(model, by_name)
    for tensor in model.inputs:
        if by_name[tensor.name].read is None:
            limits.check_tensor(tensor.name, tensor.bytes_at(batch))
    return ModelInputs({name: _value(by_name[name]) for name in expected}, batch)


def _refuse_names(model: ModelDescription, given: Collection[str], expected: Sequence[str]) -> None:
    remedy = f"send {', '.join(expected)}"
    for name in given:
        if name not in expected:
            raise InvalidRequest(f"input {name}", f"model {model.name} has no such input", remedy=remedy)
    for name in expected:
        if name not in given:
            raise InvalidRequest(f"input {name}", "is missing", remedy=remedy)


def _check_one(expected: TensorDescription, given: RequestInput) -> None:
    field = f"input {expected.name}"
    if given.read is None:
        if not expected.accepts_files:
            raise InvalidRequest(
                f"{field}.datatype",
                "takes no BYTES: the model declares no preprocessing for it",
                remedy=f"send {datatype_of_dtype(expected.dtype).name}",
            )
        _check_files(given, field)
        return
    wanted = datatype_of_dtype(expected.dtype).name
    if given.datatype != wanted:
        also = " or BYTES (one image file an item)" if expected.accepts_files else ""
        raise InvalidRequest(f"{field}.datatype", f"must be {wanted}{also}", value=given.datatype)
    if len(given.shape) != len(expected.shape) or any(
        size != have for size, have in zip(expected.shape, given.shape, strict=True) if size >= 0
    ):
        raise InvalidRequest(f"{field}.shape", f"must be {list(expected.shape)}", value=list(given.shape))


def _check_files(given: RequestInput, field: str) -> None:
    if len(given.shape) not in (1, 2) or (len(given.shape) == 2 and given.shape[1] != 1):
        raise InvalidRequest(f"{field}.shape", "of BYTES must be [batch] or [batch, 1]", value=list(given.shape))


def _value(given: RequestInput) -> torch.Tensor | ImageBatch:
    return ImageBatch(given.elements) if given.read is None else given.read()


def _batch(expected: TensorDescription, shape: tuple[int, ...]) -> int:
    """The items of an input; of files there is one an item."""
    return shape[expected.shape.index(-1)] if len(shape) == len(expected.shape) else shape[0]


def _common_batch(model: ModelDescription, given: Mapping[str, RequestInput]) -> int:
    batches = {_batch(tensor, given[tensor.name].shape) for tensor in model.inputs}
    if len(batches) != 1:
        raise InvalidRequest("inputs", "must share one batch size", value=sorted(batches))
    batch = batches.pop()
    if not 1 <= batch <= model.max_batch:
        raise InvalidRequest("batch", f"must be 1 to {model.max_batch}", value=batch, remedy="split the request")
    return batch
