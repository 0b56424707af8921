"""Policies by name: the built-in ones, those that installed packages register, and `module:Class`."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points

from isthmus.errors import InvalidConfiguration, NotFound
from scheduler.policies.base import Policy
from scheduler.policies.cloud_only import CloudOnlyPolicy
from scheduler.policies.edge_only import EdgeOnlyPolicy
from scheduler.policies.fixed import FixedPolicy
from scheduler.policies.latency import LatencyPolicy

__all__ = ["ENTRY_POINT_GROUP", "POLICY_NAMES", "configured_policy", "named_policy"]

ENTRY_POINT_GROUP = "isthmus.policies"
_BUILT_IN: Mapping[str, Callable[[], Policy]] = {
    "cloud-only": CloudOnlyPolicy,
    "edge-only": EdgeOnlyPolicy,
    "latency": LatencyPolicy,
}
POLICY_NAMES = (*_BUILT_IN, "fixed:PLAN")
_FIXED = "fixed:"


def named_policy(name: str) -> Policy:
    """The policy that a request may ask for: built in, `fixed:PLAN` (a plan id or kind), or registered by an installed
    package. Nothing is imported that a package did not register: the name may come from the wire.

    Raises NotFound naming the choices, InvalidConfiguration when a registered object is not a policy.
    """
    if name in _BUILT_IN:
        return _BUILT_IN[name]()
    if name.startswith(_FIXED) and len(name) > len(_FIXED):
        return FixedPolicy(name.removeprefix(_FIXED))
    entry_point = _registered().get(name)
    if entry_point is None:
        choices = ", ".join(sorted({*POLICY_NAMES, *_registered()}))
        raise NotFound(f"policy: there is no {name!r}; use one of {choices}, or module:Class in the configuration")
    return _made(name, entry_point.load())


def configured_policy(name: str) -> Policy:
    """The policy of a configuration file: what `named_policy` knows, and besides `module:Class`, which is imported.

    Raises NotFound naming the choices, InvalidConfiguration when the class cannot be imported or is not a policy.
    """
    module, colon, attribute = name.partition(":")
    if not colon or name.startswith(_FIXED):
        return named_policy(name)
    try:
        made = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        remedy = f"name a class as module:Class, or one of {', '.join(POLICY_NAMES)}"
        raise InvalidConfiguration("policy", f"cannot be imported: {error}", value=name, remedy=remedy) from error
    return _made(name, made)


def _made(name: str, factory: object) -> Policy:
    policy = factory() if callable(factory) else factory
    if isinstance(policy, Policy):
        return policy
    remedy = "it needs a method choose(request, link, rng)"
    raise InvalidConfiguration("policy", "is not a policy", value=name, remedy=remedy)


@functools.cache  # reading the metadata of all installed packages takes milliseconds
def _registered() -> Mapping[str, EntryPoint]:
    return {entry_point.name: entry_point for entry_point in entry_points(group=ENTRY_POINT_GROUP)}
