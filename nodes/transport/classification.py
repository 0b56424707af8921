"""Triton's classification extension: an output's highest classes as BYTES, "value:index" or "value:index:label"."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from isthmus.errors import InvalidRequest
from isthmus.oip import open_inference_pb2 as oip
from nodes.transport.oip_messages import join_bytes_elements, parameter_values, write_bytes_output

__all__ = ["class_count", "least_bytes", "write_classes"]

_LEAST_CLASS_BYTES = len(join_bytes_elements([b"nan:0"]))


def class_count(output: oip.ModelInferRequest.InferRequestedOutputTensor) -> int:
    """How many classes of an output are asked for, 0 for the tensor itself. Raises InvalidRequest."""
    asked = parameter_values(output.parameters).get("classification", 0)
    if isinstance(asked, bool) or not isinstance(asked, int) or asked < 0:
        raise InvalidRequest(
            f"output {output.name}, parameter classification", "must be an integer of zero or more", value=asked
        )
    return asked


def least_bytes(tensor: torch.Tensor, count: int) -> int:
    """What so many classes of each item take in an answer, at least: labels and long numbers take more."""
    items = _by_item(tensor)
    return items.shape[0] * min(count, items.shape[1]) * _LEAST_CLASS_BYTES


def write_classes(
    response: oip.ModelInferResponse, name: str, tensor: torch.Tensor, count: int, labels: Sequence[str]
) -> None:
    """The `count` highest values of each item of `tensor` ([batch, ...]), highest first: BYTES [batch, count]."""
    items = _by_item(tensor)
    values, indices = items.to(torch.float64).topk(min(count, items.shape[1]), dim=1)
    elements = [
        _class(value, index, labels)
        for row in zip(values.tolist(), indices.tolist(), strict=True)
        for value, index in zip(*row, strict=True)
    ]
    write_bytes_output(response, name, tuple(values.shape), elements)


def _by_item(tensor: torch.Tensor) -> torch.Tensor:
    """[batch, classes]; one value an item is one class, and a lone value one item."""
    batched = tensor if tensor.dim() else tensor.unsqueeze(0)
    return batched.unsqueeze(-1).flatten(1)


def _class(value: float, index: int, labels: Sequence[str]) -> bytes:
    label = f":{labels[index]}" if index < len(labels) else ""
    return f"{value:f}:{index}{label}".encode()
