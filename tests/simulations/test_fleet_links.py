"""Links of a fleet, made of what a scenario says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulations.fleet_links import LinkMaker
from simulations.markov_link import MarkovLink
from simulations.scenario.links import LinkSection


def test_a_fitted_link_carries_so_many_times_what_its_model_does(tmp_path: Path) -> None:
    model = tmp_path / "lte.json"
    model.write_text(MarkovLink(1.0, (1e6, 2e6), (0.5, 0.5), ((0.9, 0.1), (0.1, 0.9))).to_json())

    def carried_s(scale: float) -> float:
        rate = {"markov": str(model), "scale": scale}
        section = LinkSection.model_validate({"name": "lte", "uplink": rate, "downlink": rate})
        lines = LinkMaker(section).lines("1", 10.0, (0.0, 10.0))
        return lines.uplink.end_s(1e4, 0.0)

    assert carried_s(0.5) == pytest.approx(2.0 * carried_s(1.0))  # within the first second, in one state
