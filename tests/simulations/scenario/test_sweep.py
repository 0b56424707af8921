"""Sweeps: every combination of values, of fields named by path."""

from __future__ import annotations

from pathlib import Path

import pytest

from isthmus.errors import InvalidConfiguration
from simulations.scenario.reading import ScenarioFile, checked
from simulations.scenario.sweep import parse_setting, parse_values, sweep_points, with_settings
from tests.simulations.scenario.test_reading import data


def file(**more: object) -> ScenarioFile:
    written = {**data(), **more}
    return ScenarioFile(Path(), written, checked(written, Path()))


def test_without_a_sweep_there_is_one_point_without_a_name() -> None:
    (point,) = sweep_points(file())
    assert (point.settings, point.name, point.scenario) == ((), "", file().scenario)


def test_all_combinations_are_gone_through_the_last_field_fastest() -> None:
    points = sweep_points(file(sweep={"edges.shop.count": [1, 2]}), {"cloud.replicas": [3, 4]})
    assert [(one.scenario.edges[0].count, one.scenario.cloud.replicas) for one in points] == [
        (1, 3), (1, 4), (2, 3), (2, 4),
    ]  # fmt: skip
    assert points[0].name == "edges.shop.count=1, cloud.replicas=3"
    assert points[0].folder == "edges.shop.count=1-cloud.replicas=3"


def test_points_of_a_sweep_over_many_fields_have_a_folder_each() -> None:
    fields = ("cloud.batching.max_batch", "cloud.batching.max_delay", "edges.shop.slowdown", "edges.shop.overhead")
    points = sweep_points(file(), {**{key: [1] for key in fields}, "edges.shop.admission.probability": [0.5, 0.75]})
    folders = [one.folder for one in points]
    assert len(set(folders)) == 2
    assert all(len(one) == 120 for one in folders)


def test_a_setting_reaches_sections_that_the_file_leaves_out() -> None:
    written = data()
    del written["cloud"]
    plain = ScenarioFile(Path(), written, checked(written, Path()))
    assert with_settings(plain, [("cloud.batching.max_batch", 1)]).scenario.cloud.batching.max_batch == 1
    assert "cloud" not in plain.data


@pytest.mark.parametrize(
    ("path", "values", "problem"),
    [
        ("edges.shops.count", [1], "edges.shops is not there"),
        ("edges.shop.count", [], "has no values"),
        ("edges.shop.count", [-1], "greater than or equal to 1"),
        ("duration.first", [1], "first is not there"),
        ("edges.9", [1], "9 is not there"),
    ],
)
def test_a_field_that_cannot_be_swept_is_named(path: str, values: list[object], problem: str) -> None:
    with pytest.raises(InvalidConfiguration, match=problem) as raised:
        sweep_points(file(), {path: values})
    assert path in raised.value.field


def test_settings_of_the_command_line_are_yaml() -> None:
    assert parse_setting("edges.shop.policy={name: slo, deadline: 1s}", "--set") == (
        "edges.shop.policy",
        {"name": "slo", "deadline": "1s"},
    )
    assert parse_values("cloud.replicas=1,2,4", "--sweep") == ("cloud.replicas", (1, 2, 4))


@pytest.mark.parametrize("text", ["cloud.replicas", "=4", "cloud.replicas="])
def test_a_sweep_without_a_value_is_refused(text: str) -> None:
    with pytest.raises(InvalidConfiguration, match="--sweep"):
        parse_values(text, "--sweep")
