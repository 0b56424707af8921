"""Settings cross process borders as JSON."""

from __future__ import annotations

from isthmus.telemetry import LogSettings
from nodes.configured_policies import ConfiguredPolicies, ScopedPolicy
from nodes.settings import EdgeSettings, JournalSettings, ModelArtifact
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
    )
    assert EdgeSettings.from_json(settings.to_json()) == settings


def test_settings_that_say_nothing_of_policies_take_the_quickest_plan() -> None:
    settings = EdgeSettings.from_json(EdgeSettings((), "127.0.0.1:0", "").to_json())
    assert settings.policies.by_scope == {EVERYTHING: PolicySetting("latency")}
