"""Cycles of garbage are looked for seldom while a run goes on, as it makes hardly any."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulations.fleet import Fleet
from simulations.rare_collection import rarely_collected
from simulations.scenario.reading import read_scenario
from tests.simulations.fleet_files import scenario_file
from tests.simulations.test_fleet import busy_scenario


@pytest.fixture(autouse=True)
def thresholds_kept() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.enable()


@pytest.mark.parametrize(("before", "within"), [(700, 100_000), (0, 0), (200_000, 200_000)])
def test_it_is_seldomer_within_and_as_before_afterwards_also_after_an_error(before: int, within: int) -> None:
    gc.set_threshold(before, 11, 12)
    seen = list[tuple[int, int, int]]()

    def broken() -> None:
        with rarely_collected():
            seen.append(gc.get_threshold())
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert seen == [(within, 11, 12)]
    assert gc.get_threshold() == (before, 11, 12)


def test_a_run_makes_hardly_any_cycles(tmp_path: Path) -> None:
    """Whatever breaks, is refused or ends late; else its memory would grow until somebody looked."""
    file = read_scenario(scenario_file(tmp_path, **busy_scenario()))
    run = Fleet(file.scenario, file.folder).begin()
    gc.collect()
    gc.disable()
    run.advance(25.0)
    garbage = gc.collect()
    assert garbage < len(run.finish().requests)  # one with its crossing, events and choice is dozens of objects
