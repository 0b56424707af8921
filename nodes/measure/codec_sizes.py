"""What the codecs make of a cut's tensors, measured on the model's calibration inputs: ratios for the solver.

A model without calibration inputs has no measured sizes, and the solver keeps to its assumed ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch

from isthmus.errors import InvalidInput
from nodes.codecs.base import Codec
from nodes.codecs.factory import CALIBRATED_CODEC_NAMES, CODEC_NAMES, LOSSLESS_CODEC_NAMES, codec
from nodes.codecs.transform_table import channel_grid
from nodes.measure.sensitivity import boundary_gradients, boundary_tensors
from nodes.measure.transform_calibration import CalibrationItems, calibrated_codec
from nodes.measure.transform_fit import fit_transform
from partitioner.codec_choice import CodecSize
from partitioner.model import Model

__all__ = ["calibrated_transforms", "measured_sizes"]

_SMALLEST_BYTES = 4096  # below, a header weighs as much and no rotation is worth its table


def measured_sizes(model: Model, edge_ops: Sequence[str], budget: float = 0.0) -> tuple[CodecSize, ...]:
    """A size for each boundary tensor of the cut and each codec that takes it, from the calibration inputs, batch 1.

    budget: how far answers may fall short of the whole model's; above 0, transform codecs are calibrated to it, with
    their tables as parameters. Other lossy codecs are measured in size only: their accuracy is for `measure_accuracy`.
    """
    if not model.calibration or len(model.calibration[0]) == 0:
        return ()
    segments = model.split(edge_ops)
    boundary = boundary_tensors(segments, model.calibration)
    plain = [codec(name) for name in CODEC_NAMES if name not in CALIBRATED_CODEC_NAMES]
    tuned = calibrated_transforms(model, edge_ops, budget) if budget > 0 else {}
    found: list[CodecSize] = []
    for name, values in zip(segments.boundary, boundary, strict=False):
        takes = [one for one in plain if one.lossless or values.is_floating_point()]
        takes += [tuned[name]] if name in tuned else []
        found += [_size(one, name, values) for one in takes]
    return tuple(found)


def calibrated_transforms(
    model: Model, edge_ops: Sequence[str], budget: float, groups: Sequence[int] | None = None
) -> Mapping[str, Codec]:
    """The transform codec of each boundary tensor that can have one, each alone within `budget` of the answers.

    groups: the source of each calibration item, where several share one. Where the suffix cannot be differentiated all
    directions are treated alike. Runs the suffix some ten times over the calibration inputs.
    """
    segments = model.split(edge_ops)
    boundary = boundary_tensors(segments, model.calibration)
    with torch.inference_mode():
        outputs = torch.cat([model(*(t[i : i + 1] for t in model.calibration))[0] for i in range(len(boundary[0]))])
    sources = groups if groups is not None else range(len(outputs))
    items = CalibrationItems(segments, boundary, outputs, sources, bool(model.interface.outputs[0].labels))
    return {
        name: calibrated_codec(fit_transform(values, _gradients(model, items, name, values)), items, name, budget)
        for name, values in _transformable(items)
    }


def _transformable(items: CalibrationItems) -> Iterator[tuple[str, torch.Tensor]]:
    for name, values in zip(items.segments.boundary, items.boundary, strict=False):
        large = values.is_floating_point() and values[0].nbytes >= _SMALLEST_BYTES
        if large and channel_grid(tuple(values.shape[1:])) is not None and bool(torch.isfinite(values).all()):
            yield name, values


def _gradients(model: Model, items: CalibrationItems, name: str, values: torch.Tensor) -> torch.Tensor:
    try:
        return boundary_gradients(model, items.segments, items.boundary, name)
    except InvalidInput:
        return torch.zeros_like(values[:1])


def _size(made: Codec, tensor: str, values: torch.Tensor) -> CodecSize:
    """Of one item at a time, as most requests are."""
    sizes = [len(made.encode(tensor, values[item : item + 1]).data) for item in range(len(values))]
    ratio = sum(sizes) / values.nbytes
    return CodecSize(
        made.name,
        ratio,
        made.name in LOSSLESS_CODEC_NAMES,
        f"measured on {len(sizes)} calibration items",
        applies_to="all" if made.lossless else "floating",
        parameters=made.parameters,
        tensor=tensor,
    )
