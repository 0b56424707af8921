"""Codecs as measured on calibration inputs, each alone, and transforms that keep to a budget."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from nodes.codecs.factory import codec
from nodes.codecs.linear import read_ranges
from nodes.measure.accuracy import measure_accuracy
from nodes.measure.calibration_items import CalibrationItems, CalibrationRuns
from nodes.measure.codec_sizes import (
    MeasuredCodec,
    calibrated_linear,
    lossy_codecs,
    measured_codec,
    takes_transform,
)
from partitioner.torch_model import TorchModel


@pytest.fixture(scope="module")
def runs(small_model: TorchModel) -> CalibrationRuns:
    inputs = torch.randn(100, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    return CalibrationRuns(replace(small_model, calibration=(inputs,)))


@pytest.fixture(scope="module")
def items(runs: CalibrationRuns) -> CalibrationItems:
    return runs.at([runs.model.graph.ops[0].name])


def within(runs: CalibrationRuns, items: CalibrationItems, budget: float) -> dict[str, MeasuredCodec]:
    return {one.codec.name: one for one in lossy_codecs(runs, items, items.segments.boundary[0], budget)}


def test_a_size_is_the_mean_over_items_sent_alone(items: CalibrationItems) -> None:
    tensor = items.segments.boundary[0]
    found, sent = measured_codec(items, tensor, codec("zstd")), items.values(tensor)
    lengths = torch.tensor([float(len(codec("zstd").encode(tensor, sent[i : i + 1]).data)) for i in range(len(sent))])
    assert found.size.ratio == pytest.approx(float(lengths.mean()) / sent[:1].nbytes)
    assert found.named().spread_bytes == round(float(lengths.std(correction=0)))
    assert found.loss == 0.0
    assert found.size.lossless


def test_int8_and_the_narrowest_within_the_budget_are_found(runs: CalibrationRuns, items: CalibrationItems) -> None:
    found = within(runs, items, 0.05)
    (narrowest,) = found.keys() - {"int8", "transform", "tiled"}
    assert found[narrowest].size.ratio < found["int8"].size.ratio
    assert all(one.loss <= 0.05 for one in found.values())
    bits = int(narrowest.removeprefix("int"))
    narrower = {8: 6, 6: 5, 5: 4, 4: 3}.get(bits)
    assert narrower is None or measured_codec(items, items.segments.boundary[0], codec(f"int{narrower}")).loss > 0.05


def test_the_narrowest_is_smaller_with_calibrated_ends_and_a_range_coder(
    runs: CalibrationRuns, items: CalibrationItems
) -> None:
    narrowest, tuned = narrowest_forms(runs, items)[()], narrowest_forms(runs, items)["coder", "ranges"]
    assert len(read_ranges(tuned.codec.parameters["ranges"])) == items.values(tuned.tensor).shape[1]
    assert tuned.size.ratio < narrowest.size.ratio
    assert tuned.loss <= 0.05


def narrowest_forms(runs: CalibrationRuns, items: CalibrationItems) -> dict[tuple[str, ...], MeasuredCodec]:
    """The narrowest width that keeps to 0.05, by the parameters that it has; the first of equals."""
    found = [one for one in lossy_codecs(runs, items, items.segments.boundary[0], 0.05) if one.codec.name[:3] == "int"]
    narrowest = min((one.codec.name for one in found), key=lambda name: int(name[3:]))
    forms = [one for one in found if one.codec.name == narrowest]
    return {tuple(sorted(one.codec.parameters)): one for one in reversed(forms)}


def test_the_narrowest_is_tried_with_one_step_for_all_channels(runs: CalibrationRuns, items: CalibrationItems) -> None:
    """Eight bytes a channel less, since a step and an offset are an item's."""
    plain, one_step = narrowest_forms(runs, items)[()], narrowest_forms(runs, items)[("scope",)]
    channels = items.values(plain.tensor).shape[1]
    raw_bytes = items.values(plain.tensor)[:1].nbytes
    assert one_step.loss <= 0.05
    assert one_step.size.ratio * raw_bytes <= plain.size.ratio * raw_bytes - 8 * (channels - 1) + 64


def test_channels_are_tried_as_the_tiles_of_a_jpeg(runs: CalibrationRuns, items: CalibrationItems) -> None:
    found = within(runs, items, 0.05)["tiled"]
    assert found.codec.parameters["format"] == "jpeg"
    assert found.loss <= 0.05
    assert "tiled" not in within(runs, items, 0.0)


def test_ends_are_a_channels_or_the_whole_tensors(items: CalibrationItems) -> None:
    values = items.values(items.segments.boundary[0])
    each, one = (calibrated_linear("int4", v) for v in (values, values.flatten(1)))
    assert each is not None
    assert one is not None
    assert [len(read_ranges(made.parameters["ranges"])) for made in (each, one)] == [values.shape[1], 1]


def test_values_without_ends_are_not_calibrated(items: CalibrationItems) -> None:
    values = items.values(items.segments.boundary[0]).clone()
    values[0, 0, 0, 0] = torch.inf
    assert calibrated_linear("int8", values) is None
    assert calibrated_linear("int8", torch.zeros(4)) is None


def test_for_the_smallest_alone_no_width_below_eight_is_measured(
    runs: CalibrationRuns, items: CalibrationItems
) -> None:
    found = lossy_codecs(runs, items, items.segments.boundary[0], 0.05, smallest=True)
    assert {one.codec.name for one in found} == {"transform", "int8"}


def test_without_a_transform_the_smallest_is_the_narrowest(runs: CalibrationRuns) -> None:
    items = runs.at([op.name for op in runs.model.graph.ops[:-1]])
    (tensor,) = items.segments.boundary
    assert not takes_transform(items.values(tensor))
    every, smallest = (
        [one.codec.name for one in lossy_codecs(runs, items, tensor, 0.05, smallest=wanted)] for wanted in (False, True)
    )
    assert smallest == every


def test_a_budget_brings_a_transform_with_its_table(runs: CalibrationRuns, items: CalibrationItems) -> None:
    size = within(runs, items, 0.05)["transform"].size
    made = codec(size.codec, size.parameters)
    found = measure_accuracy(runs.model, items.segments.edge_ops, {size.tensor: made})
    assert 1.0 - found.value <= 0.05
    assert not size.lossless
    assert size.spread > 0.0


def test_without_a_budget_nothing_is_lossy_but_what_loses_nothing(
    runs: CalibrationRuns, items: CalibrationItems
) -> None:
    assert all(one.loss == 0.0 for one in within(runs, items, 0.0).values())


def test_small_tensors_and_rows_get_no_transform() -> None:
    assert takes_transform(torch.zeros(2, 8, 14, 14))
    assert not takes_transform(torch.zeros(2, 8, 8, 8))
    assert not takes_transform(torch.zeros(2, 8, 14, 14, dtype=torch.int64))
    assert not takes_transform(torch.zeros(2, 4096))
