"""What differs between two configurations."""

from __future__ import annotations

from typing import Any

import pytest

from isthmus.configuration import Configuration
from isthmus.configuration_changes import needing_restart, policies_changed, rolled_out
from nodes.configured_policies import ConfiguredPolicies, ScopedPolicy
from nodes.steering import EVERYTHING, PolicySetting, Scope

ALL = ("models", "edge", "cloud", "link")
NET = {"name": "net", "source": "a:b"}


def configuration(**sections: Any) -> Configuration:
    return Configuration.model_validate({"models": [NET], **sections})


def policies(*scoped: tuple[Scope, PolicySetting]) -> ConfiguredPolicies:
    return ConfiguredPolicies(tuple(ScopedPolicy(*one) for one in scoped))


@pytest.mark.parametrize(
    ("sections", "keys"),
    [
        ({}, ()),
        ({"edge": {"threads": 2, "limits": {"queue": 3}}}, ("edge.threads", "edge.limits.queue")),
        ({"cloud": {"tls": {"certificate": "c.pem", "key": "c.key"}}}, ("cloud.tls",)),
        ({"link": {"bandwidth": "20mbps"}}, ("link",)),
        ({"models": [{**NET, "source": "a:c"}]}, ("models.net.source",)),
        ({"models": [NET, {"name": "new", "source": "a:b"}]}, ("models.new",)),
        ({"models": [{"name": "new", "source": "a:b"}]}, ("models.net", "models.new")),
    ],
)
def test_keys_that_need_a_restart_are_named(sections: dict[str, Any], keys: tuple[str, ...]) -> None:
    assert needing_restart(configuration(), configuration(**sections), ALL) == keys


def test_policies_need_no_restart() -> None:
    after = configuration(
        models=[{**NET, "policy": "slo"}], policy={"name": "slo", "deadline": "1s"}, request_classes={"alarm": "cost"}
    )
    assert needing_restart(configuration(), after, ALL) == ()


def test_what_an_edge_does_not_run_needs_no_restart_of_it() -> None:
    after = configuration(cloud={"replicas": 2}, link={"bandwidth": "20mbps"})
    assert needing_restart(configuration(), after, ("models", "edge")) == ()


def test_the_order_of_models_is_no_change() -> None:
    other = {"name": "other", "source": "a:b"}
    assert needing_restart(configuration(models=[NET, other]), configuration(models=[other, NET]), ALL) == ()


def test_policies_that_changed_are_named_with_what_was() -> None:
    alarm, slo = Scope("", "alarm"), PolicySetting("slo", {"deadline": 0.2})
    before = policies((EVERYTHING, PolicySetting("latency")), (Scope("net"), PolicySetting("cost")), (alarm, slo))
    after = policies((EVERYTHING, PolicySetting("edge-only")), (Scope("", "batch"), slo), (alarm, slo))
    assert policies_changed(before, after) == (
        "all requests: edge-only, was latency; class batch: slo (deadline=0.2); model net: none of its own, was cost"
    )
    assert policies_changed(before, before) == ""


@pytest.mark.parametrize(
    ("keys", "cloud", "edge", "rolled"),
    [
        (("cloud.engine", "cloud.autoscaling"), True, False, ("cloud.engine", "cloud.autoscaling")),
        (("cloud.tls", "cloud.registry_listen", "cloud.runtime", "cloud.name", "edge.threads", "link"), True, True, ()),
        (("models.net.source", "models.net.plans"), False, True, ("models.net.source", "models.net.plans")),
        (("models.net", "models.net.source"), True, True, ("models.net.source",)),
        (("models.net.versions", "cloud.address"), True, True, ("models.net.versions",)),
        (("models.net",), True, False, ("models.net",)),
        (("cloud.engine",), False, True, ()),
    ],
)
def test_what_is_rolled_out_depends_on_who_runs(
    keys: tuple[str, ...], cloud: bool, edge: bool, rolled: tuple[str, ...]
) -> None:
    assert rolled_out(keys, cloud=cloud, edge=edge) == rolled
