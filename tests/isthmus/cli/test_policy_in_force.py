"""`isthmus policy show`: what decides, and whether the configuration file or an operator says so."""

from __future__ import annotations

import json

import pytest

from isthmus.cli.operator_commands import _print
from nodes.steering import EVERYTHING, PolicySetting, Scope, Steering

FILE = {EVERYTHING: PolicySetting("latency"), Scope("", "alarm"): PolicySetting("energy")}
STEERED = (
    Steering(FILE, configured=FILE)
    .with_policy(EVERYTHING, PolicySetting("edge-only"))
    .with_policy(Scope("net"), PolicySetting("cost"))
    .without_policy(Scope("", "alarm"))
)


def test_what_an_operator_changed_is_marked_with_what_the_file_says(capsys: pytest.CaptureFixture[str]) -> None:
    _print(STEERED, None, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "all requests: edge-only"
        " (set by an operator; the configuration file says latency, and counts when it is saved)",
        "model net: cost (set by an operator; the configuration file says nothing, and counts when it is saved)",
        "class alarm: no policy of its own"
        " (set by an operator; the configuration file says energy, and counts when it is saved)",
    ]
    _print(Steering(FILE, configured=FILE), None, as_json=False)
    assert capsys.readouterr().out.splitlines() == ["all requests: latency", "class alarm: energy"]


def test_json_tells_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    def told(steering: Steering) -> object:
        _print(steering, None, as_json=True)
        return json.loads(capsys.readouterr().out)["by_operator"]

    latency = {"policy": "latency", "options": dict[str, object]()}
    energy = {**latency, "policy": "energy"}
    assert told(STEERED) == [
        {"model": "", "class": "", "configured": latency},
        {"model": "net", "class": "", "configured": None},
        {"model": "", "class": "alarm", "configured": energy},
    ]
    assert told(Steering(FILE, configured=FILE)) == []
    assert told(Steering(FILE)) is None  # an edge of before
