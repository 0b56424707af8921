"""What a cut with its codecs does to a model's answers, against the whole model on its calibration inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import torch

from isthmus.errors import InvalidModel
from nodes.codecs.factory import codec
from partitioner.model import Model
from partitioner.plan_table import Accuracy
from partitioner.segments import Segments

__all__ = ["Metric", "agreement", "measure_accuracy"]

Metric = Literal["top1_agreement", "cosine"]

_BATCH = 8


def measure_accuracy(model: Model, edge_ops: Iterable[str], codecs: Mapping[str, str]) -> Accuracy:
    """How well prefix -> codecs -> suffix agrees with the whole model on its first output.

    codecs: by boundary tensor, "raw" where none is named. The metric is top-1 agreement for an output with labels,
    cosine similarity otherwise, its mean over the calibration items. Runs eager on the calling thread.
    Raises InvalidModel without calibration inputs, InvalidPlan when `edge_ops` is not a cut.
    """
    if not model.calibration or len(model.calibration[0]) == 0:
        raise InvalidModel("calibration", "is empty", remedy="give the ModelSpec some calibration inputs")
    segments, total = model.split(edge_ops), 0.0
    metric: Metric = "top1_agreement" if model.interface.outputs[0].labels else "cosine"
    count = len(model.calibration[0])
    for start in range(0, count, _BATCH):
        items = tuple(tensor[start : start + _BATCH] for tensor in model.calibration)
        with torch.inference_mode():
            total += float(agreement(metric, model(*items)[0], _through(segments, codecs, items)[0]).sum())
    return Accuracy(metric, total / count, count)


def agreement(metric: Metric, whole: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """float32, one value an item (dimension 0): 1 where the two agree perfectly."""
    whole, other = whole.flatten(1).float(), other.flatten(1).float()
    if metric == "top1_agreement":
        return (whole.argmax(1) == other.argmax(1)).float()
    return torch.cosine_similarity(whole, other)


def _through(
    segments: Segments, codecs: Mapping[str, str], items: tuple[torch.Tensor, ...]
) -> tuple[torch.Tensor, ...]:
    made = segments.prefix(*items)
    crossed = []
    for name, tensor in zip(segments.boundary, made, strict=False):
        chosen = codec(codecs.get(name, "raw"))
        crossed.append(chosen.decode(chosen.encode(name, tensor)))
    outputs: tuple[torch.Tensor, ...] = segments.suffix(*crossed, *made[len(crossed) :])
    return outputs
