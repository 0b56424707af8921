"""What a cut with its codecs does to a model's answers, against the whole model on its calibration inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import torch

from isthmus.errors import InvalidModel
from nodes.codecs.base import Codec
from nodes.codecs.factory import codec
from nodes.measure.answer_quality import AnswerQuality, answer_quality
from nodes.sample_inputs import calibration_batches
from partitioner.model import Model
from partitioner.plan_table import Accuracy
from partitioner.segments import Segments

__all__ = ["Metric", "agreement", "measure_accuracy", "measure_quality"]

Metric = Literal["top1_agreement", "cosine"]

_BATCH = 8


def measure_accuracy(model: Model, edge_ops: Iterable[str], codecs: Mapping[str, str | Codec]) -> Accuracy:
    """How well prefix -> codecs -> suffix agrees with the whole model on its first output, as plans keep it.

    codecs: by boundary tensor, "raw" where none is named. The metric is top-1 agreement for an output with labels,
    cosine similarity otherwise, its mean over the calibration items. Runs eager on the calling thread.
    Raises InvalidModel without calibration inputs, InvalidPlan when `edge_ops` is not a cut.
    """
    found = measure_quality(model, edge_ops, codecs).agreement
    metric: Metric = "top1_agreement" if model.interface.outputs[0].labels else "cosine"
    return Accuracy(metric, found.value, found.n)


def measure_quality(
    model: Model,
    edge_ops: Iterable[str],
    codecs: Mapping[str, str | Codec],
    *,
    groups: Sequence[int] | None = None,
    truth: torch.Tensor | None = None,
) -> AnswerQuality:
    """The same with everything that can be said of the answers; see `answer_quality` for `groups` and `truth`."""
    inputs = model.calibration
    if not inputs or len(inputs[0]) == 0:
        raise InvalidModel("calibration", "is empty", remedy="give the ModelSpec some calibration inputs")
    segments = model.split(edge_ops)
    made = {name: codec(given) if isinstance(given, str) else given for name, given in codecs.items()}
    whole, other = [], []
    for items in calibration_batches(inputs, _BATCH):
        with torch.inference_mode():
            whole.append(model(*items)[0])
            other.append(_through(segments, made, items)[0])
    classes = bool(model.interface.outputs[0].labels)
    return answer_quality(torch.cat(whole), torch.cat(other), classes=classes, groups=groups, truth=truth)


def agreement(metric: Metric, whole: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """float32, one value an item (dimension 0): 1 where the two agree perfectly."""
    whole, other = whole.flatten(1).float(), other.flatten(1).float()
    if metric == "top1_agreement":
        return (whole.argmax(1) == other.argmax(1)).float()
    return torch.cosine_similarity(whole, other)


def _through(
    segments: Segments, codecs: Mapping[str, Codec], items: tuple[torch.Tensor, ...]
) -> tuple[torch.Tensor, ...]:
    made = segments.prefix(*items)
    crossed = []
    for name, tensor in zip(segments.boundary, made, strict=False):
        chosen = codecs.get(name)
        crossed.append(tensor if chosen is None else chosen.decode(chosen.encode(name, tensor)))
    outputs: tuple[torch.Tensor, ...] = segments.suffix(*crossed, *made[len(crossed) :])
    return outputs
