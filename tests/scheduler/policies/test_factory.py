"""Policies by name."""

from __future__ import annotations

from random import Random

import pytest

from isthmus.errors import InvalidConfiguration, NotFound
from nodes.chooser import Choice, ChoiceRequest
from partitioner.link import Link
from scheduler.policies.base import Policy
from scheduler.policies.factory import configured_policy, named_policy
from scheduler.policies.fixed import FixedPolicy
from scheduler.policies.latency import LatencyPolicy


class OwnPolicy:
    """A policy as a user writes it."""

    def choose(self, request: ChoiceRequest, link: Link | None, rng: Random) -> Choice:
        """Never asked here."""
        raise NotImplementedError


class NoPolicy:
    """Lacks the method."""


@pytest.mark.parametrize("name", ["latency", "edge-only", "cloud-only", "fixed:split", "fixed:0123456789abcdef"])
def test_the_built_in_names_are_policies(name: str) -> None:
    assert isinstance(named_policy(name), Policy)


def test_latency_is_the_latency_policy() -> None:
    assert type(named_policy("latency")) is LatencyPolicy
    assert type(configured_policy("fixed:split")) is FixedPolicy


@pytest.mark.parametrize("name", ["quickest", "", "fixed", "fixed:"])
def test_an_unknown_name_lists_the_choices(name: str) -> None:
    with pytest.raises(NotFound, match="cloud-only, edge-only, fixed:PLAN, latency"):
        named_policy(name)


def test_a_configuration_may_name_a_class() -> None:
    assert isinstance(configured_policy("scheduler.policies.latency:LatencyPolicy"), LatencyPolicy)


def test_a_request_may_not_have_a_class_imported() -> None:
    with pytest.raises(NotFound):
        named_policy("scheduler.policies.latency:LatencyPolicy")


@pytest.mark.parametrize("name", ["no.such.module:X", "scheduler.policies.latency:X", ":X", "..a:b"])
def test_a_class_that_cannot_be_imported_is_a_configuration_error(name: str) -> None:
    with pytest.raises(InvalidConfiguration, match=r"policy: cannot be imported.*module:Class"):
        configured_policy(name)


def test_a_class_without_the_method_is_refused() -> None:
    with pytest.raises(InvalidConfiguration, match="is not a policy"):
        configured_policy("collections:OrderedDict")


def test_the_contract_is_one_method() -> None:
    assert isinstance(OwnPolicy(), Policy)
    assert not isinstance(NoPolicy(), Policy)
