"""The example scenarios run, here for a short while, and show what they are about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simulations.answers.summary import Summary, summary
from simulations.fleet import Fleet
from simulations.scenario.reading import read_scenario
from simulations.scenario.sweep import with_settings

EXAMPLES = Path(__file__).parents[2] / "examples"


def short(name: str, *settings: tuple[str, Any]) -> Summary:
    file = with_settings(read_scenario(EXAMPLES / name), [("duration", "30s"), ("warm_up", "5s"), *settings])
    return summary([Fleet(file.scenario, file.folder).run()])


def kinds(answers: Summary) -> set[str]:
    return {plan.kind for plan in answers.plans}


def test_shop_cameras_on_lte_are_answered_within_their_deadline() -> None:
    answers = short("shop-cameras.yaml")
    assert answers.all.n == pytest.approx(20 * 25, rel=0.05)
    assert answers.all.outcomes["answered"].value > 0.9
    assert kinds(answers) & {"cloud-only", "split"}
    energy, replicas = answers.energy
    assert replicas.watts is None
    assert energy.watts is not None
    assert 1.0 < energy.watts.value < 5.0


def test_a_factory_on_one_wifi_uses_it_and_gets_more_replicas() -> None:
    answers = short("factory-wifi.yaml", ("duration", "60s"))
    assert {(one.kind, one.group) for one in answers.utilisation} >= {("uplink", "wifi"), ("replica", "cloud")}
    assert max(one.n for one in answers.utilisation if one.kind == "replica") > 1
    assert {group.name for group in answers.groups if group.kind == "client"} == {"robot", "camera"}


def test_vehicles_on_5g_lose_the_network_and_finish_by_themselves() -> None:
    answers = short("vehicles-5g.yaml", ("cloud.failures", [{"at": "10s", "for": "10s", "replica": 0}]))
    assert answers.all.outcomes["resumed"].value > 0.0
    assert {group.name for group in answers.groups if group.kind == "class"} == {"", "log"}
