"""Settings cross process borders as JSON."""

from __future__ import annotations

import pytest

from isthmus.telemetry import LogSettings
from nodes.configured_policies import ConfiguredPolicies, ScopedPolicy
from nodes.settings import CloudSettings, EdgeSettings, JournalSettings, ModelArtifact
from nodes.steering import EVERYTHING, PolicySetting, Scope

POLICIES = ConfiguredPolicies(
    (
        ScopedPolicy(EVERYTHING, PolicySetting("latency", {"switch_cost": 0.002})),
        ScopedPolicy(Scope("net"), PolicySetting("random", {"weights": {"split": 2.0}})),
        ScopedPolicy(Scope("", "alarm"), PolicySetting("own:Policy")),
    ),
    "/etc/isthmus",
)


def test_an_edges_settings_read_back_equal() -> None:
    models = (ModelArtifact("net", "/models/net", ("{}",)),)
    settings = EdgeSettings(
        models,
        "127.0.0.1:0",
        "",
        policies=POLICIES,
        decision_log=JournalSettings("decisions", 1 << 24),
        log=LogSettings("info", "json"),
        memory_folder="memory",
        starts_within_s=600.0,
    )
    assert EdgeSettings.from_json(settings.to_json()) == settings


def test_settings_that_say_nothing_of_policies_take_the_quickest_plan() -> None:
    settings = EdgeSettings.from_json(EdgeSettings((), "127.0.0.1:0", "").to_json())
    assert settings.policies.by_scope == {EVERYTHING: PolicySetting("latency")}


@pytest.mark.parametrize(
    ("said_s", "engine", "limit_s"), [(None, "eager", 120.0), (None, "inductor", 3600.0), (600.0, "inductor", 600.0)]
)
def test_a_node_may_take_so_long_to_start_as_its_settings_say(
    said_s: float | None, engine: str, limit_s: float
) -> None:
    cloud = CloudSettings((), "127.0.0.1:0", "", engine=engine, starts_within_s=said_s)
    assert CloudSettings.from_json(cloud.to_json()).start_limit_s == limit_s
    edge = EdgeSettings((), "127.0.0.1:0", "", engine=engine, starts_within_s=said_s)
    assert EdgeSettings.from_json(edge.to_json()).start_limit_s == limit_s
