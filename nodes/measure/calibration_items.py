"""A model's calibration inputs at a cut: what crosses there, the whole model's answers, and what codecs do to them and
take.

What cuts and codecs share is run once: the whole model for all of them (`CalibrationRuns`), a prefix for the codecs of
its cut (`CalibrationItems`). Each codec then costs one run of the suffix.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from isthmus.errors import InvalidModel
from nodes.codecs.base import Codec, Decoder, EncodedTensor
from nodes.measure.answer_quality import AnswerQuality, Share, answer_quality, grouped_share
from nodes.measure.one_thread import one_thread
from nodes.measure.sensitivity import Boundary, boundary_tensors
from nodes.measure.timing import summary
from nodes.sample_inputs import calibration_batches
from partitioner.model import Model, has_classes, without_rows
from partitioner.plan_table import Accuracy
from partitioner.segments import Segments

__all__ = ["CalibrationItems", "CalibrationRuns", "Crossed", "accuracy_of"]

_BATCH = 8
_KEPT_BYTES = 256 << 20

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Crossed:
    """A boundary tensor of every item after a codec: bytes of each item's message (sent alone, as most requests are),
    the decoded values, and what one item took either way: the 10th percentile over the items.
    """

    sizes: npt.NDArray[np.int64]
    values: torch.Tensor
    encode_s: float
    decode_s: float

    @classmethod
    def of(
        cls,
        items: Sequence[T],
        encode: Callable[[T], EncodedTensor],
        codec: Decoder,
        together: Callable[[list[torch.Tensor]], torch.Tensor] = torch.cat,
    ) -> Self:
        """Each of `items` there and back, on one thread. encode: by `codec`. together: of what comes back."""
        sizes, values, there, back = list[int](), list[torch.Tensor](), list[float](), list[float]()
        with one_thread():
            codec.decode(encode(items[0]))  # the first call of a codec makes what the others find there
            for item in items:
                began_s = time.perf_counter()
                sent = encode(item)
                sent_s = time.perf_counter()
                values.append(codec.decode(sent))
                back.append(time.perf_counter() - sent_s)
                there.append(sent_s - began_s)
                sizes.append(len(sent.data))
        return cls(np.array(sizes), together(values), summary(there).seconds, summary(back).seconds)


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationItems:
    """Items at a cut: what the prefix made of them, the whole model's first output, and where each came from.

    classes: whether the output has classes, so that a budget is about the best one; else about cosine similarity, or
    closeness where it has one number.
    truth: the right class of each item, where it is known. batch: so many items run at once. apart: positions in
    `boundary` of tensors whose rows are no items: these hold an item each along a dimension before their own, and items
    run one by one.
    """

    segments: Segments
    boundary: Boundary
    outputs: torch.Tensor
    groups: Sequence[int]
    classes: bool
    truth: torch.Tensor | None = None
    batch: int = _BATCH
    apart: frozenset[int] = frozenset()

    def values(self, tensor: str) -> torch.Tensor:
        """What crosses as `tensor`, of all items."""
        return self.boundary[self.segments.boundary.index(tensor)]

    def answers(self, changed: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The first outputs when those boundary tensors hold other values."""
        parts = list(self.boundary)
        for name, values in changed.items():
            parts[self.segments.boundary.index(name)] = values
        made = []
        for start in range(0, len(self.outputs), self.batch):
            with torch.inference_mode():
                made.append(self.segments.suffix(*self._fed(parts, start))[0])
        return torch.cat(made)

    def _fed(self, parts: Sequence[torch.Tensor], start: int) -> Iterator[torch.Tensor]:
        for at, part in enumerate(parts):
            yield part[start] if at in self.apart else part[start : start + self.batch]

    def crossed(self, tensor: str, codec: Codec) -> Crossed:
        """`tensor` of every item through `codec`."""
        values, encode = self.values(tensor), partial(codec.encode, tensor)
        if self.segments.boundary.index(tensor) in self.apart:
            return Crossed.of(list(values), encode, codec, torch.stack)
        return Crossed.of([values[item : item + 1] for item in range(len(values))], encode, codec)

    def quality(self, changed: Mapping[str, torch.Tensor]) -> AnswerQuality:
        """How close the answers with those boundary tensors are to the whole model's, and to the truth."""
        return self.quality_of(self.answers(changed))

    def quality_of(self, other: torch.Tensor) -> AnswerQuality:
        """How close those first outputs are to the whole model's, and to the truth."""
        return answer_quality(self.outputs, other, classes=self.classes, groups=self.groups, truth=self.truth)

    def mean_bytes(self, sizes: npt.NDArray[np.int64]) -> Share:
        """Bytes an item, with an interval by source."""
        return grouped_share(torch.from_numpy(sizes), np.asarray(self.groups))


class CalibrationRuns:
    """The calibration inputs of a model, run by the whole model once and by a prefix when a cut is asked for."""

    def __init__(self, model: Model, groups: Sequence[int] | None = None) -> None:
        """groups: the source of each item; as the model says without, and each its own where it does not say either.

        Raises InvalidModel without calibration inputs, and where an input or the first output is not led by the batch.
        """
        self.model = model
        if not model.calibration or len(model.calibration[0]) == 0:
            raise InvalidModel("calibration", "is empty", remedy="give the ModelSpec some calibration inputs")
        self.groups = tuple(groups or model.calibration_groups or range(len(model.calibration[0])))
        if mixed := without_rows(model):
            problem = f"cannot be told apart: {mixed[0]!r} does not begin with the batch"
            raise InvalidModel("calibration", problem, remedy="give the model inputs whose first dimension it is")
        self._batch = min(_BATCH, model.interface.max_batch)
        self._cuts: dict[frozenset[str], CalibrationItems] = {}

    @cached_property
    def outputs(self) -> torch.Tensor:
        """The whole model's first output for every item."""
        made = []
        for items in calibration_batches(self.model.calibration, self._batch):
            with torch.inference_mode():
                made.append(self.model(*items)[0])
        return torch.cat(made)

    def at(self, edge_ops: Iterable[str]) -> CalibrationItems:
        """The items at that cut; the cuts asked for last are kept. Raises InvalidPlan where it is no cut."""
        cut = frozenset(edge_ops)
        if cut not in self._cuts:
            segments = self.model.split(cut)
            names = enumerate((*segments.boundary, *segments.kept))
            apart = frozenset(at for at, name in names if not self.model.graph.tensors[name].rows_are_items)
            batch = 1 if apart else self._batch
            boundary = boundary_tensors(segments, self.model.calibration, batch, apart)
            truth = torch.tensor(self.model.calibration_truth) if self.model.calibration_truth else None
            classes = has_classes(self.model)
            self._make_room(_size(boundary))
            about = (self.outputs, self.groups, classes, truth, batch, apart)
            self._cuts[cut] = CalibrationItems(segments, boundary, *about)
        return self._cuts[cut]

    def _make_room(self, size_bytes: int) -> None:
        kept = sum(_size(items.boundary) for items in self._cuts.values())
        while self._cuts and kept + size_bytes > _KEPT_BYTES:
            kept -= _size(self._cuts.pop(next(iter(self._cuts))).boundary)


def _size(boundary: Boundary) -> int:
    return sum(tensor.nbytes for tensor in boundary)


def accuracy_of(quality: AnswerQuality) -> Accuracy:
    """What plans keep of it: what a budget is about."""
    found = quality.agreement
    return Accuracy(quality.metric, found.value, found.n, found.low, found.high)
