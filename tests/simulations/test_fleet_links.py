"""Links of a fleet, made of what a scenario says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulations.fleet_links import LinkLines, LinkMaker
from simulations.markov_link import MarkovLink
from simulations.scenario.links import LinkSection


def test_a_fitted_link_carries_so_many_times_what_its_model_does(tmp_path: Path) -> None:
    model = tmp_path / "lte.json"
    model.write_text(MarkovLink(1.0, (1e6, 2e6), (0.5, 0.5), ((0.9, 0.1), (0.1, 0.9))).to_json())

    def carried_s(scale: float) -> float:
        rate = {"markov": str(model), "scale": scale}
        section = LinkSection.model_validate({"name": "lte", "uplink": rate, "downlink": rate})
        lines = LinkMaker(section).lines("1", (0.0, 10.0))
        return lines.uplink.end_s(1e4, 0.0)

    assert carried_s(0.5) == pytest.approx(2.0 * carried_s(1.0))  # within the first second, in one state


def recorded(folder: Path, seed: str = "1", **rate: object) -> LinkLines:
    """A link that carries what was recorded: 1, 2 and 4 Mbit/s, ten seconds each."""
    (folder / "bus.txt").write_text("0 1\n10 2\n20 4\n")
    said = {"trace": str(folder / "bus.txt"), **rate}
    section = LinkSection.model_validate({"name": "lte", "uplink": said, "downlink": said})
    return LinkMaker(section).lines(seed, (0.0, 60.0))


@pytest.mark.parametrize(("scale", "wanted_mbps"), [(1.0, [1.0, 2.0, 4.0]), (0.5, [0.5, 1.0, 2.0])])
def test_a_recorded_link_carries_so_many_times_what_was_recorded(
    tmp_path: Path, scale: float, wanted_mbps: list[float]
) -> None:
    lines = recorded(tmp_path, start="0s", scale=scale)
    for line in (lines.uplink, lines.downlink):
        assert [line.bps(moment_s) / 1e6 for moment_s in (5.0, 15.0, 25.0)] == wanted_mbps
        assert line.end_s(1e6 / 8, 0.0) == pytest.approx(1.0 / scale)


@pytest.mark.parametrize(("start", "wanted_mbps"), [("0s", [1.0, 2.0]), ("12s", [2.0, 4.0])])
def test_a_recording_is_played_from_where_it_is_said_to(tmp_path: Path, start: str, wanted_mbps: list[float]) -> None:
    lines = recorded(tmp_path, start=start)
    assert [lines.uplink.bps(moment_s) / 1e6 for moment_s in (0.0, 10.0)] == wanted_mbps


def test_a_recording_that_begins_at_random_does_so_anywhere_and_at_one_place_for_both_ways(tmp_path: Path) -> None:
    moments_s = [number / 2 for number in range(60)]
    played = [recorded(tmp_path, str(seed), start="random") for seed in range(30)]
    ways = [[[line.bps(at_s) for at_s in moments_s] for line in (one.uplink, one.downlink)] for one in played]
    assert all(up == down for up, down in ways)
    assert len({tuple(up) for up, _ in ways}) > 15
    assert all(set(up) == {1e6, 2e6, 4e6} for up, _ in ways)  # a whole period of it, from wherever
    again = recorded(tmp_path, "0", start="random").uplink
    assert [again.bps(at_s) for at_s in moments_s] == ways[0][0]


def test_a_recording_of_one_value_holds_wherever_it_begins(tmp_path: Path) -> None:
    (tmp_path / "flat.txt").write_text("0 8\n")
    said = {"trace": str(tmp_path / "flat.txt")}
    section = LinkSection.model_validate({"name": "lte", "uplink": said, "downlink": said})
    assert LinkMaker(section).lines("1", (0.0, 60.0)).uplink.end_s(1e6, 3.0) == pytest.approx(4.0)


# ---- round trips ---------------------------------------------------------------------------------------------------


def half_trips(folder: Path, **link: object) -> list[float]:
    """Of both ways, without bytes, each second of the first half minute: 20, 100 and 40 ms there and back, ten seconds
    each, where nothing else is said. link: fields of the section."""
    (folder / "bus.csv").write_text("time_s,up_mbps,rtt_ms\n0,1,20\n10,2,100\n20,4,40\n")
    (folder / "other.txt").write_text("0 1\n15 2\n")
    written = {"name": "lte", "uplink": {"trace": str(folder / "bus.csv"), "start": "0s"}, "downlink": "9mbps", **link}
    maker = LinkMaker(LinkSection.model_validate(written))
    up, down = maker.delays("1", maker.lines("1", (0.0, 60.0)))
    moments_s = [number + 0.5 for number in range(30)]
    assert [up.mean_s(at_s) for at_s in moments_s] == [down.mean_s(at_s) for at_s in moments_s]
    return [up.mean_s(at_s) for at_s in moments_s]


def test_round_trips_are_those_of_the_recording_where_nothing_else_is_said(tmp_path: Path) -> None:
    assert half_trips(tmp_path) == pytest.approx([0.01] * 10 + [0.05] * 10 + [0.02] * 10)


def test_a_round_trip_that_is_said_holds_whatever_was_recorded(tmp_path: Path) -> None:
    assert half_trips(tmp_path, rtt="30ms") == [0.015] * 30
    assert half_trips(tmp_path, rtt="0s") == [0.0] * 30


def test_links_without_recorded_round_trips_have_none(tmp_path: Path) -> None:
    assert half_trips(tmp_path, uplink="9mbps") == [0.0] * 30
    assert half_trips(tmp_path, uplink={"trace": str(tmp_path / "other.txt")}) == [0.0] * 30


def test_the_downlinks_round_trips_hold_where_the_uplinks_recording_has_none(tmp_path: Path) -> None:
    ways = {
        "uplink": {"trace": str(tmp_path / "other.txt")},
        "downlink": {"trace": str(tmp_path / "bus.csv"), "start": "10s"},
    }
    assert half_trips(tmp_path, **ways) == pytest.approx([0.05] * 10 + [0.02] * 10 + [0.01] * 10)


def test_round_trips_begin_where_their_recordings_bandwidth_does(tmp_path: Path) -> None:
    """20 ms belong to 1 Mbit/s, and so on, wherever a link begins."""
    half_trips(tmp_path)
    trace = {"trace": str(tmp_path / "bus.csv"), "start": "random"}
    maker = LinkMaker(LinkSection.model_validate({"name": "lte", "uplink": trace, "downlink": trace, "shared": True}))
    starts = set()
    for seed in map(str, range(20)):
        lines = maker.lines(seed, (0.0, 60.0))
        up, _ = maker.delays("an edge", lines)
        belongs = {1e6: 0.01, 2e6: 0.05, 4e6: 0.02}
        moments_s = [number / 2 for number in range(60)]
        assert [up.mean_s(at_s) for at_s in moments_s] == [belongs[lines.uplink.bps(at_s)] for at_s in moments_s]
        starts.add(tuple(lines.uplink.bps(at_s) for at_s in moments_s))
    assert len(starts) > 10
