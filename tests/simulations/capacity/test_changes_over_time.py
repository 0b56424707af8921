"""Which scenarios may be judged by their beginning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simulations.capacity.changes_over_time import changes_over_time
from simulations.scenario.sweep import with_settings
from tests.simulations.capacity.conftest import Make

RIDE = str(Path(__file__).parents[3] / "examples" / "traces" / "norway_bus_1")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("clients.camera.arrivals", {"kind": "steady", "period": 1}, []),
        ("clients.camera.arrivals", {"kind": "bursty", "rate_per_s": 1, "burst": 3}, []),
        ("clients.camera.arrivals", {"kind": "mmpp", "rates_per_s": [1, 9], "stays": [5, 1]}, []),
        ("clients.camera.arrivals", {"kind": "closed-loop", "users": 3}, []),
        ("clients.camera.arrivals", {"kind": "diurnal", "rate_per_s": 1}, ["arrivals of camera are diurnal"]),
        ("clients.camera.arrivals", {"kind": "recorded", "file": RIDE}, ["arrivals of camera are recorded"]),
        ("cloud.failures", {"every": "1h", "for": "1min"}, ["replicas fail"]),
        ("cloud.failures", [{"at": "1min", "for": "5s"}], ["replicas fail"]),
        ("links.lan.outages", [{"at": "1min", "for": "5s"}], ["link lan has outages"]),
        ("links.lan.outages", {"every": "1min", "for": "5s"}, ["link lan has outages"]),
        ("links.lan.uplink", {"trace": RIDE}, ["link lan plays its recording for 4 edges, of which each sees another"]),
        ("links.lan.downlink", {"trace": RIDE, "start": "9s"}, ["link lan plays its recording from one moment on"]),
        ("links.lan", {"name": "lan", "uplink": {"trace": RIDE}, "downlink": "9mbps", "shared": True},
         ["link lan plays its recording from one moment on"]),
        ("links.1", {"name": "idle", "uplink": "9mbps", "downlink": "9mbps", "outages": [{"at": 1, "for": 5}]}, []),
    ],
)  # fmt: skip
def test_what_changes_is_named(scenario_of: Make, field: str, value: Any, said: list[str]) -> None:
    lan = {"name": "lan", "uplink": "50mbps", "downlink": "50mbps"}
    file = scenario_of(links=[lan, {**lan, "name": "idle"}])
    found = list(changes_over_time(with_settings(file, [(field, value)]).scenario))
    assert [one.removesuffix(" for all edges").removesuffix(" part at first") for one in found] == said


@pytest.mark.parametrize(("counts", "alike"), [((30,), True), ((29,), False), ((15, 15), True), ((15, 14), False)])
def test_many_edges_at_places_of_their_own_see_all_of_a_recording_at_once(
    scenario_of: Make, counts: tuple[int, ...], alike: bool
) -> None:
    link = {"name": "lan", "uplink": {"trace": RIDE}, "downlink": "50mbps"}
    edges = [{"name": f"cell{n}" if n else "cell", "count": count, "link": "lan"} for n, count in enumerate(counts)]
    scenario = scenario_of(links=[link, {**link, "name": "other"}], edges=edges).scenario
    assert (list(changes_over_time(scenario)) == []) == alike
