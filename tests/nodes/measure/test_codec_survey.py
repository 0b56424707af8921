"""Every codec at a cut, as a report shows them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from nodes.codecs.linear import LINEAR_BITS
from nodes.measure.calibration_items import CalibrationRuns
from nodes.measure.codec_survey import FACTORS, PICTURES, TILED, SurveyRow, input_survey, survey_of_cut
from partitioner.spec import ImagePreprocessing
from partitioner.torch_model import TorchModel

HOW = ImagePreprocessing(16, 16, 16, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))


@pytest.fixture(scope="module")
def runs(small_model: TorchModel) -> CalibrationRuns:
    """Four pictures of each of ten places, normalised as the model's preprocessing does."""
    pixels = torch.randint(0, 256, (40, 3, 16, 16), generator=torch.Generator().manual_seed(0)).float()
    mean, std = (torch.tensor(part).view(3, 1, 1) for part in (HOW.mean, HOW.std))
    (spec,) = small_model.interface.inputs
    interface = replace(small_model.interface, inputs=(replace(spec, preprocessing=HOW),))
    groups = tuple(item // 4 for item in range(40))
    inputs = ((pixels * HOW.scale - mean) / std,)
    return CalibrationRuns(replace(small_model, interface=interface, calibration=inputs, calibration_groups=groups))


@pytest.fixture(scope="module")
def rows(runs: CalibrationRuns) -> dict[str, SurveyRow]:
    return {row.codec: row for row in survey_of_cut(runs, [runs.model.graph.ops[0].name], 0.05)}


def test_all_codecs_are_there(rows: dict[str, SurveyRow]) -> None:
    linear, steps = {f"int{bits}" for bits in LINEAR_BITS}, {f"transform, step x{factor:g}" for factor in FACTORS}
    (tuned,) = (name for name in rows if name.endswith(", calibrated"))
    tiled = {f"tiled {form} q{quality}" for form, quality in TILED}
    (one_step,) = (name for name in rows if name.endswith(", one step"))
    assert set(rows) == {"raw", "zstd", "lz4", tuned, one_step} | linear | steps | tiled


def test_channels_are_tiled_at_several_qualities(rows: dict[str, SurveyRow]) -> None:
    rough, fine = rows["tiled jpeg q90"], rows["tiled jpeg q100"]
    assert rough.family == fine.family == "tiled"
    assert rough.bytes.value < fine.bytes.value < rows["raw"].bytes.value
    assert fine.accuracy.value >= 0.95
    assert fine.parameter_bytes > 0


def test_what_is_no_picture_is_not_tiled(runs: CalibrationRuns) -> None:
    names = [op.name for op in runs.model.graph.ops]
    flat = next(n for n in range(1, len(names)) if runs.at(names[:n]).boundary[0].dim() == 2)
    assert not [row for row in survey_of_cut(runs, names[:flat], 0.05) if row.family == "tiled"]


def test_the_narrowest_width_within_the_budget_is_there_calibrated_too(rows: dict[str, SurveyRow]) -> None:
    (tuned,) = (row for name, row in rows.items() if name.endswith(", calibrated"))
    plain = [row for name, row in rows.items() if row.family == "linear" and ", " not in name]
    *_, narrowest = (row for row in plain if row.accuracy.value >= 0.95)
    assert tuned.codec == f"{narrowest.codec}, calibrated"
    assert tuned.bytes.value < narrowest.bytes.value
    assert tuned.parameter_bytes > narrowest.parameter_bytes == 0


def test_every_codec_takes_time_either_way(rows: dict[str, SurveyRow]) -> None:
    assert all(0 < row.encode_s < 1 and 0 < row.decode_s < 1 for row in rows.values())


def test_coarser_steps_take_fewer_bytes(rows: dict[str, SurveyRow]) -> None:
    sizes = [rows[f"transform, step x{factor:g}"].bytes.value for factor in FACTORS]
    assert sizes == sorted(sizes, reverse=True)
    assert rows["raw"].bytes.value > sizes[0]


def test_the_calibrated_step_keeps_the_budget_on_these_items(rows: dict[str, SurveyRow]) -> None:
    found = rows["transform, step x1"]
    assert found.accuracy.value >= 0.95
    assert found.accuracy.low <= found.accuracy.value <= found.accuracy.high
    assert found.parameter_bytes > 0
    assert rows["raw"].accuracy.value == 1.0


def test_the_input_as_lossless_pictures_is_the_input(runs: CalibrationRuns) -> None:
    found = {row.codec: row for row in input_survey(runs)}
    assert len(found) == len(PICTURES)
    assert found["png"].accuracy.value == found["webp"].accuracy.value == 1.0
    assert found["jpeg q90"].bytes.value < found["jpeg q100"].bytes.value


def test_answers_are_held_against_the_truth_where_it_is_known(runs: CalibrationRuns) -> None:
    """Every item's right class is the model's answer here, but for four items of the forty."""
    best = runs.outputs.argmax(1)
    wrong = (best[:4] + 1) % runs.outputs.shape[1]
    told = replace(runs.model, calibration_truth=tuple(torch.cat([wrong, best[4:]]).tolist()))  # type: ignore[type-var]
    rows = {row.codec: row for row in survey_of_cut(CalibrationRuns(told), [told.graph.ops[0].name], 0.0)}
    quality = rows["raw"].quality
    assert quality.whole_accuracy is not None
    assert quality.accuracy is not None
    assert quality.whole_accuracy.value == quality.accuracy.value == 0.9
    assert quality.top1_agreement is not None
    assert rows["int3"].quality.accuracy is not None


def test_an_input_that_is_no_picture_has_none(small_model: TorchModel) -> None:
    assert input_survey(CalibrationRuns(small_model)) == []
