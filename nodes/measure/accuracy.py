"""What a cut with its codecs does to a model's answers, against the whole model on its calibration inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nodes.codecs.base import Codec
from nodes.codecs.factory import codec
from nodes.measure.answer_quality import AnswerQuality
from nodes.measure.calibration_items import CalibrationRuns, accuracy_of
from partitioner.model import Model
from partitioner.plan_table import Accuracy

__all__ = ["measure_accuracy", "measure_quality"]


def measure_accuracy(model: Model, edge_ops: Iterable[str], codecs: Mapping[str, str | Codec]) -> Accuracy:
    """How well prefix -> codecs -> suffix agrees with the whole model on its first output, as plans keep it.

    codecs: by boundary tensor, "raw" where none is named. The metric is top-1 agreement for an output with classes,
    closeness for one of one number, cosine similarity otherwise, its mean over the calibration items. Runs eager on the
    calling thread.
    Raises InvalidModel without calibration inputs, InvalidPlan when `edge_ops` is not a cut.
    """
    return accuracy_of(measure_quality(model, edge_ops, codecs))


def measure_quality(
    model: Model,
    edge_ops: Iterable[str],
    codecs: Mapping[str, str | Codec],
    *,
    groups: Sequence[int] | None = None,
) -> AnswerQuality:
    """The same with everything that can be said of the answers; see `answer_quality`.

    groups: which items come from one source; as the model says without.
    """
    items = CalibrationRuns(model, groups).at(edge_ops)
    made = {name: codec(given) if isinstance(given, str) else given for name, given in codecs.items()}
    return items.quality({name: items.crossed(name, one).values for name, one in made.items()})
