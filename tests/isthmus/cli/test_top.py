"""`isthmus top`, as it draws what an edge says of itself."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from rich.console import Console

from isthmus.cli import top_command
from isthmus.cli.top_command import _sights
from isthmus.cli.top_lines import plain, sparkline, stacked
from isthmus.cli.top_view import top_view
from isthmus.errors import DeadlineExceeded, IsthmusError, Unavailable
from nodes.admission import AdmissionCounts
from nodes.sight.document import sight_json
from nodes.sight.view import EdgeView
from nodes.steering import EVERYTHING, PolicySetting, Scope, Steering
from nodes.transport.operator_client import OperatorClient
from tests.nodes.sight.test_document import full_view
from tests.nodes.sight.views import HOSTILE, ended, reading, view


def drawn(found: EdgeView, width: int = 100, silent_s: float = 0.0) -> str:
    console = Console(width=width, force_terminal=False, color_system=None)
    with console.capture() as capture:
        console.print(top_view(json.loads(sight_json(found)), "127.0.0.1:8001", width, silent_s))
    return capture.get()


def with_registry(found: EdgeView) -> EdgeView:
    return replace(found, facts=replace(found.facts, registry="10.0.0.1:8100"), registry_heard=True)


def test_everything_an_operator_looks_for_is_there() -> None:
    said = drawn(with_registry(full_view()))
    for words in (
        "edge at 127.0.0.1:8001", "latency for all requests", "Emulated: the link to the cloud is made made 5 Mbit/s",
        "1 failed in 5 min", "200 ms", "20 Mbit/s", "± 10%, 10 Mbit/s down", "0 of 128", "off by 50.0%",
        "cloud-only", "33%", "ready", "queue 10 ms", "1 under way",
    ):  # fmt: skip
        assert words in said, words


def test_a_policy_that_an_operator_set_is_said() -> None:
    latency = {EVERYTHING: PolicySetting("latency")}
    steering = Steering(latency, configured=latency)
    assert "configuration file" not in drawn(view(steering=steering), width=200)
    said = drawn(view(steering=steering.with_policy(Scope("net"), PolicySetting("cost"))), width=200)
    assert "cost for model net (not as the configuration file says: model net)" in said


def test_an_edge_that_served_nothing_yet_is_drawn_too() -> None:
    said = drawn(view(link=None))
    assert "Nothing needs attention." in said
    assert "No request in the last 5 minutes." in said
    assert "No registry is configured" in said


def test_requests_that_wait_for_their_turn_are_said() -> None:
    assert "before turn" not in drawn(view())
    (line,) = [one for one in drawn(view(admission=AdmissionCounts(12, 4, 0.3))).splitlines() if "before turn" in one]
    assert line.split()[2:] == ["12", "the", "last", "in", "300", "ms"]


def test_a_registry_that_went_away_is_said() -> None:
    found = with_registry(full_view())
    assert "registry 10.0.0.1:8100, heard" in drawn(found)
    assert "registry 10.0.0.1:8100, silent for 40 s" in drawn(replace(found, registry_away_s=40.0))
    assert "registry 10.0.0.1:8100, not heard of" in drawn(replace(found, registry_heard=False, registry_away_s=40.0))


def test_a_name_cannot_steer_the_terminal() -> None:
    found = with_registry(full_view())
    said = drawn(replace(found, requests=(ended(HOSTILE, came_s=found.now_s),)))
    assert "<img" in said
    assert not {"\x1b", "\x07"} & set(said)


@pytest.mark.parametrize("width", [80, 120, 200])
def test_no_line_is_cut_or_wider_than_the_terminal(width: int) -> None:
    busy = with_registry(view(*(reading(2.0 * n, ended("split at " + "x" * 40), answered=n) for n in range(1, 100))))
    lines = drawn(busy, width).splitlines()
    assert max(map(len, lines)) <= width
    assert not any(line.rstrip().endswith("…") for line in lines)


def test_an_old_document_says_for_how_long_nothing_came() -> None:
    assert "no answer for 12 s" in drawn(view(), silent_s=12.0)
    assert "no answer" not in drawn(view(), silent_s=2.0)


class Edge(OperatorClient):
    """One that says how it stands, but for the second time."""

    def __init__(self, error: IsthmusError) -> None:
        super().__init__("127.0.0.1:1")
        self._asked, self._error = 0, error

    async def sight(self, since: int = 0) -> str:
        self._asked += 1
        if self._asked == 2:
            raise self._error
        return sight_json(view())


@pytest.mark.parametrize("error", [Unavailable("gone"), DeadlineExceeded("it hangs")])
async def test_an_edge_that_does_not_answer_for_a_while_is_watched_on(
    monkeypatch: pytest.MonkeyPatch, error: IsthmusError
) -> None:
    monkeypatch.setattr(top_command, "PERIOD_S", 0.01)
    edge = Edge(error)
    sights = _sights(edge)
    silences_s = [(await anext(sights))[1] for _ in range(3)]
    assert silences_s[0] < silences_s[1] > silences_s[2]
    await sights.aclose()
    await edge.close()


def test_a_sparkline_scales_to_its_greatest_value() -> None:
    assert sparkline([0.0, None, 4.0, 8.0]) == "▁ ▄█"
    assert sparkline([]) == ""
    assert sparkline([0.0, 0.0]) == "▁▁"


def test_a_stacked_bar_is_as_long_as_its_sum() -> None:
    assert stacked([(1.0, "red"), (1.0, "blue"), (0.0, "green")], 4.0, 10).plain == "█" * 5
    assert stacked([(1.0, "red")], 0.0, 10).plain == ""


def test_what_cannot_be_printed_is_replaced() -> None:
    assert plain("a\x1b[2J\nb") == "a\ufffd[2J\ufffdb"
