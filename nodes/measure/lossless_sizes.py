"""What the lossless codecs make of every tensor of a model, measured on a few of its calibration inputs: in place of
what is assumed of any tensor. All tensors of an item are made in one run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np
import torch

from nodes.codecs.base import Codec
from nodes.codecs.factory import codec, image_codec
from nodes.codecs.image import PictureCodec
from nodes.measure.picture_codecs import lossless_picture
from partitioner.codec_choice import DEFAULT_CODECS, CodecSize
from partitioner.cost_model import Costing
from partitioner.model import Model, has_items, without_rows
from partitioner.plan import InputForm

__all__ = ["in_form", "unmeasured_words", "with_lossless_sizes"]

MOST_ITEMS = 3
_PICTURES = ("png", "webp")
# A model never changes, and who goes through many links plans for the same one again and again.
_measured: WeakKeyDictionary[Model, dict[InputForm, tuple[CodecSize, ...]]] = WeakKeyDictionary()


def with_lossless_sizes(costing: Costing, model: Model) -> Costing:
    """`costing` with the measured sizes; itself for a model without calibration inputs that `has_items` can take apart,
    and where codecs were stated: they say what is allowed, too. What was measured of a model is remembered as long as
    the model is."""
    if costing.codecs != DEFAULT_CODECS or not has_items(model):
        return costing
    known = _measured.setdefault(model, {})
    if costing.form not in known:
        known[costing.form] = tuple(_sizes(model, costing.form))
    sizes = known[costing.form]
    measured = {size.codec for size in sizes}
    assumed = (size for size in costing.codecs if size.codec not in measured)
    return replace(costing, codecs=(*assumed, *sizes))


def unmeasured_words(model: Model) -> str:
    """Why sizes are assumed in spite of calibration inputs; "" where they are measured, and where there are none."""
    if not model.calibration or has_items(model):
        return ""
    name = without_rows(model)[0]
    return f"sizes of lossless codecs are assumed, not measured: input {name!r} does not begin with the batch"


def in_form(costing: Costing, form: InputForm, model: Model) -> Costing:
    """`costing` for requests that bring that form of input. Codecs that `with_lossless_sizes` made of the usual ones
    become those that it makes for that form; others stay."""
    usual = replace(costing, codecs=DEFAULT_CODECS)
    if with_lossless_sizes(usual, model).codecs != costing.codecs:
        return replace(costing, form=form)
    return with_lossless_sizes(replace(usual, form=form), model)


def _sizes(model: Model, form: InputForm) -> Iterator[CodecSize]:
    chosen = _spread(len(model.calibration[0]))
    inputs = tuple(values[chosen] for values in model.calibration)
    yield from _tensor_sizes(model, inputs)
    if form == "bytes":
        yield from _picture_sizes(model, inputs)


def _spread(count: int) -> list[int]:
    """The items to take: those of one source stand together."""
    return [round(place) for place in np.linspace(0, count - 1, min(count, MOST_ITEMS))]


def _tensor_sizes(model: Model, inputs: tuple[torch.Tensor, ...]) -> Iterator[CodecSize]:
    """zstd of every tensor, and lz4 where it makes any smaller."""
    graph, codecs = model.graph, (codec("zstd"), codec("lz4"))
    names = tuple(one.name for one in graph.tensors.values() if _crosses(one.producer, one.name, graph.inputs))
    made, bytes_of = model.segment(graph.inputs, names), dict[str, int]()
    lengths: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for item in range(len(inputs[0])):
        with torch.inference_mode():
            values = made(*(part[item : item + 1] for part in inputs))
        for name, value in zip(names, values, strict=True):
            bytes_of[name] = value.nbytes
            for one in codecs:
                lengths[name, one.name].append(_length(one, name, value))
    for (name, codec_name), found in lengths.items():
        if bytes_of[name] and (codec_name == "zstd" or np.mean(found) < bytes_of[name]):
            yield _size(codec_name, name, found, bytes_of[name])


def _crosses(producer: str | None, name: str, inputs: Sequence[str]) -> bool:
    return producer is not None or name in inputs


def _length(made: Codec, name: str, value: torch.Tensor) -> int:
    return len(made.encode(name, value).data)


def _size(codec_name: str, tensor: str, lengths: Sequence[int], tensor_bytes: int) -> CodecSize:
    mean, said = float(np.mean(lengths)), f"measured on {len(lengths)} calibration items"
    return CodecSize(codec_name, mean / tensor_bytes, True, said, tensor=tensor, spread=float(np.std(lengths)) / mean)


def _picture_sizes(model: Model, inputs: tuple[torch.Tensor, ...]) -> Iterator[CodecSize]:
    """PNG and WebP of the inputs that files make."""
    for spec, values in zip(model.interface.inputs, inputs, strict=True):
        how = spec.preprocessing
        for name in _PICTURES if how is not None else ():
            assert how is not None
            made = image_codec(name, how)
            assert isinstance(made, PictureCodec)
            found, said = lossless_picture(values, spec.name, made, how), f"measured on {len(values)} calibration items"
            ratio, spread = found.bytes / values[:1].nbytes, found.spread_bytes / max(1, found.bytes)
            yield CodecSize(name, ratio, True, said, "picture", tensor=spec.name, spread=spread)
