"""What the tournament judges: items with folds by source, and what a codec makes of each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt
import torch

from nodes.codecs.base import Codec
from nodes.codecs.transform import TransformCodec
from nodes.measure.answer_quality import AnswerQuality, Share, answer_quality, grouped_share
from nodes.measure.calibration_items import CalibrationItems
from nodes.measure.sensitivity import boundary_gradients, boundary_tensors
from nodes.measure.timing import measure
from nodes.measure.transform_calibration import calibrated_step
from nodes.measure.transform_fit import TransformFit, fit_transform
from partitioner.model import Model

__all__ = ["Contestant", "CutItems", "Items", "Row"]

BATCH, DRAWS = 8, 2
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Row:
    """One codec at one place: size of each item's message, outputs, agreement with the unsplit model, times of one
    item, bytes of its table in the plan.
    """

    name: str
    place: str
    family: str
    size: npt.NDArray[np.int64]
    outputs: torch.Tensor
    bytes: Share
    quality: AnswerQuality
    encode_ms: float
    decode_ms: float
    table_bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """Inputs of a model, where each came from, and the model's first output for each."""

    model: Model
    inputs: tuple[torch.Tensor, ...]
    groups: npt.NDArray[np.int64]
    outputs: torch.Tensor
    folds: tuple[Mask, ...]

    @classmethod
    def of(cls, model: Model, inputs: tuple[torch.Tensor, ...], groups: Sequence[int], folds: int, seed: int) -> Items:
        """The whole model's outputs are made here; every source is judged in one fold and calibrates the others."""
        batches = (tuple(t[start : start + BATCH] for t in inputs) for start in range(0, len(inputs[0]), BATCH))
        with torch.inference_mode():
            made = [model(*batch)[0] for batch in batches]
        names = np.asarray(groups)
        order = np.random.default_rng(seed).permutation(np.unique(names))
        masks = tuple(np.isin(names, order[fold::folds]) for fold in range(folds))
        return cls(model, inputs, names, torch.cat(made), masks)

    @property
    def classes(self) -> bool:
        """Whether agreement is about the best class."""
        return bool(self.model.interface.outputs[0].labels)

    def quality(self, outputs: torch.Tensor, chosen: Mask | None = None) -> AnswerQuality:
        """Of `outputs` against the whole model's, over the chosen items."""
        kept = chosen if chosen is not None else np.ones(len(outputs), bool)
        groups = self.groups[kept].tolist()
        return answer_quality(self.outputs[kept], outputs[kept], classes=self.classes, groups=groups)

    def mean_bytes(self, size: npt.NDArray[np.int64], chosen: Mask | None = None) -> Share:
        """Bytes an item, with an interval by source."""
        kept = chosen if chosen is not None else np.ones(len(size), bool)
        return grouped_share(torch.from_numpy(size[kept]), self.groups[kept])


@dataclass(frozen=True, slots=True)
class Contestant:
    """A codec with a name, made from what a fold calibrates with."""

    name: str
    family: str
    make: Callable[[int], Codec]


class CutItems:
    """The items at one cut: what crosses there, gradients, and each fold's calibration. Made once, kept in memory."""

    def __init__(self, items: Items, edge_ops: Sequence[str], tensor: str) -> None:
        self.items, self.tensor = items, tensor
        self._segments = items.model.split(edge_ops)
        self._boundary = boundary_tensors(self._segments, items.inputs)
        self._position = self._segments.boundary.index(tensor)
        self._steps: dict[int, float] = {}

    @property
    def values(self) -> torch.Tensor:
        """The tensor of every item."""
        return self._boundary[self._position]

    @cached_property
    def _gradients(self) -> torch.Tensor:
        """(items, draws, ...)."""
        parts = []
        for start in range(0, len(self.values), BATCH):
            some = tuple(tensor[start : start + BATCH] for tensor in self._boundary)
            made = boundary_gradients(self.items.model, self._segments, some, self.tensor, draws=DRAWS)
            parts.append(made.reshape(DRAWS, len(some[0]), *made.shape[1:]).transpose(0, 1))
        return torch.cat(parts)

    @cached_property
    def fits(self) -> tuple[TransformFit, ...]:
        """The transform of each fold, learned on what the fold does not judge."""
        return tuple(fit_transform(self.values[~m], self._gradients[~m].flatten(0, 1)) for m in self.items.folds)

    def calibration(self, fold: int) -> torch.Tensor:
        """The tensor of the items that a fold may calibrate on."""
        return self.values[~self.items.folds[fold]]

    def step(self, fold: int, budget: float) -> float:
        """The calibrated step of a fold."""
        if fold not in self._steps:
            mask = ~self.items.folds[fold]
            some = CalibrationItems(
                self._segments,
                tuple(tensor[mask] for tensor in self._boundary),
                self.items.outputs[mask],
                self.items.groups[mask].tolist(),
                self.items.classes,
            )
            self._steps[fold] = calibrated_step(self.fits[fold], some, self.tensor, budget)
        return self._steps[fold]

    def calibration_bytes(self, fold: int, budget: float) -> float:
        """Mean bytes of the calibrated transform on what the fold calibrates on."""
        made = TransformCodec({"table": self.fits[fold].table(self.step(fold, budget)).to_text()})
        values = self.calibration(fold)
        return len(made.encode(self.tensor, values).data) / len(values)

    def judge(self, contestant: Contestant, place: str) -> Row:
        """Each item by the codec of the fold that judges it."""
        size, outputs = np.zeros(len(self.values), np.int64), torch.empty_like(self.items.outputs)
        codec: Codec | None = None
        for fold, mask in enumerate(self.items.folds):
            codec = contestant.make(fold)
            decoded = []
            for index in np.flatnonzero(mask):
                encoded = codec.encode(self.tensor, self.values[index : index + 1])
                size[index] = len(encoded.data)
                decoded.append(codec.decode(encoded))
            outputs[torch.from_numpy(mask)] = torch.cat(list(self._answers(np.flatnonzero(mask), torch.cat(decoded))))
        assert codec is not None
        one = self.values[:1]
        encoded = codec.encode(self.tensor, one)
        return Row(
            contestant.name,
            place,
            contestant.family,
            size,
            outputs,
            self.items.mean_bytes(size),
            self.items.quality(outputs),
            1e3 * measure(partial(codec.encode, self.tensor, one)).seconds,
            1e3 * measure(partial(codec.decode, encoded)).seconds,
            sum(map(len, codec.parameters.values())),
        )

    def _answers(self, indices: npt.NDArray[np.intp], decoded: torch.Tensor) -> Iterator[torch.Tensor]:
        for start in range(0, len(indices), BATCH):
            chosen = torch.from_numpy(indices[start : start + BATCH])
            parts = [tensor[chosen] for tensor in self._boundary]
            parts[self._position] = decoded[start : start + BATCH]
            with torch.inference_mode():
                yield self._segments.suffix(*parts)[0]
