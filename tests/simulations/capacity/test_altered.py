"""Scenarios a little otherwise can be simulated."""

from __future__ import annotations

import pytest

from simulations.capacity.altered import sensitivities
from simulations.scenario.sweep import with_settings
from tests.simulations.capacity.conftest import Make


@pytest.mark.parametrize(("uplink", "half_bps"), [("50mbps", 25e6), ("1500bps", 750.0), ("1bps", 0.5)])
def test_half_of_any_uplink_is_an_uplink(scenario_of: Make, uplink: str, half_bps: float) -> None:
    file = with_settings(scenario_of(), [("links.lan.uplink", uplink)])
    halved = dict(sensitivities(file.scenario))["uplink halved"]
    assert with_settings(file, halved).scenario.links[0].uplink == half_bps
