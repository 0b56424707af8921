"""Every codec at a cut, measured: bytes, answers, and the time to encode and decode. What a report draws.

The transform and the ends of tiles are calibrated on the very inputs that they are judged on here, as the transform in
a plan is; how they do on others, `benchmarks/codec_tournament.py` measures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from isthmus.errors import InvalidModel
from nodes.codecs.base import Codec
from nodes.codecs.factory import codec, image_codec
from nodes.codecs.image import PictureCodec
from nodes.codecs.linear import LINEAR_BITS
from nodes.measure.answer_quality import AnswerQuality, Share
from nodes.measure.calibration_items import CalibrationItems, CalibrationRuns, accuracy_of
from nodes.measure.codec_sizes import calibrated_linear, calibrated_transform, takes_transform, tiled_codecs
from nodes.measure.picture_codecs import as_pictures, through_pictures
from nodes.measure.transform_calibration import transform_codec
from nodes.preprocessing import Pictures
from partitioner.plan_table import Accuracy
from partitioner.spec import ImagePreprocessing

__all__ = ["DEFAULT_BUDGET", "Family", "SurveyRow", "input_survey", "survey_of_cut"]

Family = Literal["lossless", "linear", "transform", "tiled", "picture"]

DEFAULT_BUDGET = 0.02
FACTORS = (0.5, 1.0, 2.0, 4.0)
"""On the calibrated step."""

_LOSSY = tuple((name, quality) for name in ("jpeg", "webp-lossy", "avif") for quality in ("90", "100"))
PICTURES = (("png", ""), ("webp", ""), *_LOSSY)
TILED = _LOSSY
"""Formats and qualities of channels tiled into a picture."""


@dataclass(frozen=True, slots=True)
class SurveyRow:
    """One codec at one cut, all floating tensors that cross in it and the others in zstd.

    edge_ops: the cut's, in order. bytes: of one item, all its tensors, with an interval by source. encode_s, decode_s:
    of one item. quality: of the answers. parameter_bytes: what the plan holds of it, sent once.
    """

    edge_ops: tuple[str, ...]
    codec: str
    family: Family
    bytes: Share
    quality: AnswerQuality
    encode_s: float
    decode_s: float
    parameter_bytes: int

    @property
    def accuracy(self) -> Accuracy:
        """What a budget is about."""
        return accuracy_of(self.quality)


def survey_of_cut(runs: CalibrationRuns, edge_ops: Sequence[str], budget: float = DEFAULT_BUDGET) -> list[SurveyRow]:
    """The lossless, the linear, the transform and the tiled codecs at that cut, calibrated to `budget`; none where no
    floating tensor crosses. Takes seconds.
    """
    items, ops = runs.at(edge_ops), tuple(edge_ops)
    floats = [name for name in items.segments.boundary if items.values(name).is_floating_point()]
    rest = {name: codec("zstd") for name in items.segments.boundary if name not in floats}
    if not floats:
        return []

    def row(name: str, family: Family, codecs: Mapping[str, Codec]) -> SurveyRow:
        return _row(items, ops, name, family, {**rest, **codecs})

    lossless = [row(name, "lossless", dict.fromkeys(floats, codec(name))) for name in ("raw", "zstd", "lz4")]
    widths = [f"int{bits}" for bits in LINEAR_BITS]
    linear = [row(name, "linear", dict.fromkeys(floats, codec(name))) for name in widths]
    narrowest = [one.codec for one in linear if one.accuracy.value >= 1.0 - budget][-1:]
    tuned = [row(f"{name}, calibrated", "linear", _calibrated(items, floats, name)) for name in narrowest]
    steps = [row(f"{name}, one step", "linear", _one_step(floats, name)) for name in narrowest]
    transforms = [row(name, "transform", codecs) for name, codecs in _transforms(runs, items, floats, budget)]
    tiled = [row(name, "tiled", codecs) for name, codecs in _tiled(items, floats)]
    return [*lossless, *linear, *tuned, *steps, *transforms, *tiled]


def _calibrated(items: CalibrationItems, floats: Sequence[str], name: str) -> dict[str, Codec]:
    """That width for each of `floats`, with calibrated ends and range coded where it has such."""
    if items.apart:
        return {tensor: codec(name) for tensor in floats}
    return {tensor: calibrated_linear(name, items.values(tensor)) or codec(name) for tensor in floats}


def _one_step(floats: Sequence[str], name: str) -> dict[str, Codec]:
    """That width for each of `floats`, an item's channels all with the same step."""
    return {tensor: codec(name, {"scope": "tensor"}) for tensor in floats}


def _transforms(
    runs: CalibrationRuns, items: CalibrationItems, floats: Sequence[str], budget: float
) -> Iterator[tuple[str, dict[str, Codec]]]:
    """At each factor on the calibrated steps."""
    able = [name for name in floats if takes_transform(items.values(name)) and not items.apart]
    tried = {name: calibrated_transform(runs.model, items, name, budget / len(able)) for name in able if budget > 0}
    made = {name: one for name, one in tried.items() if one is not None}
    others: dict[str, Codec] = {name: codec("zstd") for name in floats if name not in made}
    for factor in FACTORS if made else ():
        found = {name: transform_codec(one.fit, factor * one.step) for name, one in made.items()}
        transforms = {name: one for name, one in found.items() if one is not None}
        if len(transforms) == len(made):  # a finer step has more components than some table holds
            yield f"transform, step x{factor:g}", {**others, **transforms}


def _tiled(items: CalibrationItems, floats: Sequence[str]) -> Iterator[tuple[str, dict[str, Codec]]]:
    """Each of `TILED` for the tensors that make a picture; nothing where none does."""
    made = {name: [] if items.apart else list(tiled_codecs(items.values(name), TILED)) for name in floats}
    others: dict[str, Codec] = {name: codec("zstd") for name in floats if not made[name]}
    for number, (form, quality) in enumerate(TILED if len(others) < len(floats) else ()):
        tiles = {name: codecs[number] for name, codecs in made.items() if codecs}
        yield f"tiled {form} q{quality}", {**others, **tiles}


def _row(
    items: CalibrationItems, ops: tuple[str, ...], name: str, family: Family, codecs: dict[str, Codec]
) -> SurveyRow:
    crossed = {tensor: items.crossed(tensor, one) for tensor, one in codecs.items()}
    quality = items.quality({tensor: one.values for tensor, one in crossed.items()})
    sizes = np.sum([one.sizes for one in crossed.values()], axis=0)
    seconds = sum(one.encode_s for one in crossed.values()), sum(one.decode_s for one in crossed.values())
    tables = {text for one in codecs.values() for text in one.parameters.values()}
    return _made(items, ops, (name, family), (sizes, quality), seconds, sum(map(len, tables)))


def _made(
    items: CalibrationItems,
    ops: tuple[str, ...],
    named: tuple[str, Family],
    found: tuple[npt.NDArray[np.int64], AnswerQuality],
    seconds: tuple[float, float],
    parameter_bytes: int,
) -> SurveyRow:
    (name, family), (sizes, quality) = named, found
    return SurveyRow(ops, name, family, items.mean_bytes(sizes), quality, *seconds, parameter_bytes)


def input_survey(runs: CalibrationRuns) -> list[SurveyRow]:
    """The input itself as pictures of the model's size, for a model whose one input declares preprocessing."""
    inputs = runs.model.interface.inputs
    how = inputs[0].preprocessing
    if len(inputs) != 1 or how is None:
        return []
    items, tensor = runs.at(()), inputs[0].name
    batch = as_pictures(items.values(tensor), how)
    return [_picture_row(items, tensor, batch, _picture_codec(how, *one), *one) for one in PICTURES]


def _picture_codec(how: ImagePreprocessing, name: str, quality: str) -> PictureCodec:
    made = image_codec(name, how, {"quality": quality} if quality else None)
    if not isinstance(made, PictureCodec):
        raise InvalidModel(f"codec {name}", "does not make pictures")
    return made


def _picture_row(
    items: CalibrationItems, tensor: str, batch: Pictures, made: PictureCodec, name: str, quality: str
) -> SurveyRow:
    crossed = through_pictures(tensor, batch, made)
    found = items.quality({tensor: crossed.values})
    label, seconds = f"{name} q{quality}" if quality else name, (crossed.encode_s, crossed.decode_s)
    return _made(items, (), (label, "picture"), (crossed.sizes, found), seconds, 0)
