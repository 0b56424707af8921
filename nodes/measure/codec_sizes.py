"""What the codecs make of a cut's tensors, measured on the model's calibration inputs: sizes and losses for the solver.

A loss is measured of each codec alone, the other tensors crossing as they are. Of the codecs that are calibrated, each
is made for the budget that is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import torch

from isthmus.errors import InvalidInput
from nodes.codecs.base import Codec
from nodes.codecs.factory import codec
from nodes.codecs.image import PictureCodec
from nodes.codecs.linear import LINEAR_BITS, have_ends, ranges_parameter
from nodes.codecs.tiled import TiledCodec, takes_tiles
from nodes.codecs.transform_table import LARGEST_NUMBER, channel_grid
from nodes.measure.answer_quality import AnswerQuality
from nodes.measure.calibration_items import CalibrationItems, CalibrationRuns, Crossed
from nodes.measure.sensitivity import boundary_gradients
from nodes.measure.transform_calibration import LARGEST_BUDGET, calibrated_step, finer_factor, transform_codec
from nodes.measure.transform_fit import TransformFit, fit_transform
from partitioner.codec_choice import CodecSize
from partitioner.graph import TensorInfo
from partitioner.model import Model
from partitioner.plan import CodecKey, TensorCodec, codec_key

__all__ = [
    "CalibratedTransform",
    "MeasuredCodec",
    "calibrated_linear",
    "calibrated_transform",
    "lossy_codecs",
    "measured_codec",
    "takes_transform",
    "tiled_codecs",
]

_SMALLEST_BYTES = 4096  # below, a header weighs as much and no rotation is worth its table
_REFINEMENTS = 6
# Less than a transform takes to code, in more bytes: the format and quality that came nearest to one.
_TILED = (("jpeg", "95"),)
_DRAWS = 2


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredCodec:
    """A codec of one tensor: bytes of every calibration item's message, the answers' quality when it alone is coded
    (None for a lossless one), and seconds to encode and decode one item here.
    """

    tensor: str
    codec: Codec | PictureCodec
    sizes: npt.NDArray[np.int64]
    quality: AnswerQuality | None
    item_bytes: int
    encode_s: float
    decode_s: float

    @classmethod
    def of(
        cls, items: CalibrationItems, tensor: str, made: Codec | PictureCodec, crossed: Crossed,
        quality: AnswerQuality | None,
    ) -> Self:  # fmt: skip
        """From what became of `tensor` and of the answers."""
        item_bytes = items.values(tensor)[:1].nbytes
        return cls(tensor, made, crossed.sizes, quality, item_bytes, crossed.encode_s, crossed.decode_s)

    @property
    def key(self) -> CodecKey:
        """Tensor, codec and parameters."""
        return codec_key(self.tensor, self.codec.name, self.codec.parameters)

    @property
    def loss(self) -> float:
        """How far the answers fall short of perfect agreement."""
        return 0.0 if self.quality is None else 1.0 - self.quality.agreement.value

    def named(self) -> TensorCodec:
        """The tensor in this codec, as a plan holds it."""
        spread = round(float(self.sizes.std()))
        return TensorCodec(self.tensor, self.codec.name, self.codec.parameters, round(float(self.sizes.mean())), spread)

    @property
    def size(self) -> CodecSize:
        """As the solver takes it: one item at a time, as most requests are."""
        mean = float(self.sizes.mean())
        return CodecSize(
            self.codec.name,
            mean / self.item_bytes,
            self.codec.lossless,
            f"measured on {len(self.sizes)} calibration items",
            applies_to=_applies_to(self.codec),
            parameters=self.codec.parameters,
            tensor=self.tensor,
            spread=float(self.sizes.std()) / mean,
        )


@dataclass(frozen=True, slots=True, eq=False)
class CalibratedTransform:
    """A learned transform, the step that keeps a budget, and the codec of that step as measured."""

    fit: TransformFit
    step: float
    measured: MeasuredCodec


def _applies_to(made: Codec | PictureCodec) -> Literal["all", "floating", "picture"]:
    if isinstance(made, PictureCodec):
        return "picture"
    return "all" if made.lossless else "floating"


def measured_codec(items: CalibrationItems, tensor: str, made: Codec) -> MeasuredCodec:
    """`made` on `tensor` of every item."""
    crossed = items.crossed(tensor, made)
    quality = None if made.lossless else items.quality({tensor: crossed.values})
    return MeasuredCodec.of(items, tensor, made, crossed, quality)


def lossy_codecs(
    runs: CalibrationRuns, items: CalibrationItems, tensor: str, budget: float, *, smallest: bool = False
) -> Iterator[MeasuredCodec]:
    """The lossy codecs of a floating tensor that keep its answers within `budget`: the transform, if it takes one, int8
    and the narrowest of its kind, that one also calibrated and with one step for all channels, and its channels as the
    tiles of a JPEG, each loss as measured. What is learned is learned of items that are rows: of a cut where some
    tensor's are not, only int8 and the narrowest.

    smallest: whether only int8 and the smallest are wanted. A transform is smaller than the narrowest, which then costs
    no runs to find.
    """
    values = items.values(tensor)
    made = None
    if takes_transform(values) and budget > 0 and not items.apart:
        made = calibrated_transform(runs.model, items, tensor, budget)
    if made is not None:
        yield made.measured
    within = list[MeasuredCodec]()
    few = smallest and made is not None
    for bits in LINEAR_BITS[:1] if few else LINEAR_BITS:
        one = measured_codec(items, tensor, codec(f"int{bits}"))
        if not one.loss <= budget:
            break
        within.append(one)
    yield from {one.codec.name: one for one in (*within[:1], *within[-1:])}.values()
    if within and not few and not items.apart:
        # One width only: each costs a run of the suffix, and what calibration saves does not make up for a bit.
        others = (*_of_the_width(within[-1].codec.name, values), *tiled_codecs(values, _TILED))
        measured = (measured_codec(items, tensor, other) for other in others)
        yield from (one for one in measured if one.loss <= budget)


def _of_the_width(name: str, values: torch.Tensor) -> Iterator[Codec]:
    """The linear codec of that name in other forms: with calibrated ends, and where its steps are those of channels,
    with one step."""
    if (tuned := calibrated_linear(name, values)) is not None:
        yield tuned
        if values.dim() > 2:
            yield codec(name, {"scope": "tensor"})
            yield codec(name, {"ranges": ranges_parameter(values, scope="tensor"), "coder": "range"})


def tiled_codecs(values: torch.Tensor, pictures: Iterable[tuple[str, str]]) -> Iterator[TiledCodec]:
    """Channels as tiles of one picture, by format and quality, between the ends of `values` (calibration items); none
    where they make no picture."""
    if takes_tiles(tuple(values.shape)) and have_ends(values):
        ends = ranges_parameter(values)
        for form, quality in pictures:
            yield TiledCodec({"format": form, "quality": quality, "ranges": ends})


def calibrated_linear(name: str, values: torch.Tensor) -> Codec | None:
    """The linear codec of that name with the ends of `values` (calibration items) in its parameters instead of in each
    message, and its levels range coded; None for values that have no ends.

    As without calibration, ends are a channel's where there are three dimensions or more, else the whole tensor's.
    """
    if values.dim() < 2 or not have_ends(values):
        return None
    ranges = ranges_parameter(values, scope="channel" if values.dim() > 2 else "tensor")
    return codec(name, {"ranges": ranges, "coder": "range"})


def takes_transform(tensor: torch.Tensor | TensorInfo) -> bool:
    """Whether a transform codec can be made for it: floats, large enough, channels on a grid or tokens that a table
    holds.
    """
    if isinstance(tensor, TensorInfo):
        if not tensor.rows_are_items:
            return False
        shape, floating, size = tensor.shape_at(1), tensor.dtype.startswith(("float", "bfloat")), tensor.bytes_at(1)
    else:
        shape, floating, size = tuple(tensor[:1].shape), tensor.is_floating_point(), tensor[:1].nbytes
    return floating and size >= _SMALLEST_BYTES and channel_grid(shape[1:]) is not None


def calibrated_transform(
    model: Model, items: CalibrationItems, tensor: str, budget: float
) -> CalibratedTransform | None:
    """The transform at the step calibrated to `budget`, or at a finer one where these items lose more than that.

    None for values that no table holds, and where no step keeps the budget.
    """
    if not bool((items.values(tensor).abs() < LARGEST_NUMBER).all()):  # not for NaN either
        return None
    fit = _fitted(model, items, tensor)
    step = calibrated_step(fit, items, tensor, min(budget, LARGEST_BUDGET))
    for _ in range(_REFINEMENTS):
        answers = items.answers({tensor: fit.rounded(step)})
        # Coded only where rounding alone keeps the budget: making the codec and coding take longer than the suffix.
        if _loss(items, answers) <= budget:
            if (made := transform_codec(fit, step)) is None:
                return None
            crossed = items.crossed(tensor, made)
            answers = items.answers({tensor: crossed.values})
            found = MeasuredCodec.of(items, tensor, made, crossed, items.quality_of(answers))
            if found.loss <= budget:
                return CalibratedTransform(fit, step, found)
        step *= finer_factor(items, answers, budget)
    return None


def _loss(items: CalibrationItems, answers: torch.Tensor) -> float:
    return 1.0 - items.quality_of(answers).agreement.value


def _fitted(model: Model, items: CalibrationItems, tensor: str) -> TransformFit:
    """What the items teach of `tensor`. Where the suffix cannot be differentiated all directions are treated alike."""
    values = items.values(tensor)
    try:
        gradients = boundary_gradients(model, items.segments, items.boundary, tensor, draws=_DRAWS)
    except InvalidInput:
        gradients = torch.zeros_like(values[:1])
    return fit_transform(values, gradients)
