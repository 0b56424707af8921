"""Policies by name: the built-in ones, those that installed packages register, and `module:Class`."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from isthmus.errors import InvalidConfiguration, InvalidInput, InvalidRequest, NotFound
from partitioner.module_path import on_module_path
from scheduler.policies.base import Policy
from scheduler.policies.cloud_only import CloudOnlyPolicy
from scheduler.policies.cost import CostPolicy
from scheduler.policies.edge_only import EdgeOnlyPolicy
from scheduler.policies.energy import EnergyPolicy
from scheduler.policies.fixed import FixedPolicy
from scheduler.policies.latency import LatencyPolicy
from scheduler.policies.random_choice import RandomPolicy
from scheduler.policies.read_options import plain_options, read_options
from scheduler.policies.slo import SloPolicy
from scheduler.policies.throughput import ThroughputPolicy

__all__ = [
    "BUILT_IN",
    "ENTRY_POINT_GROUP",
    "checked_options",
    "configured_policy",
    "installed",
    "load_all_installed",
    "load_installed",
    "module_file",
    "named_policy",
    "options_type",
]

ENTRY_POINT_GROUP = "isthmus.policies"
BUILT_IN: Mapping[str, type[Policy]] = {
    "cloud-only": CloudOnlyPolicy,
    "cost": CostPolicy,
    "edge-only": EdgeOnlyPolicy,
    "energy": EnergyPolicy,
    "fixed": FixedPolicy,
    "latency": LatencyPolicy,
    "random": RandomPolicy,
    "slo": SloPolicy,
    "throughput": ThroughputPolicy,
}
_FIXED = "fixed:"


def named_policy(name: str, options: Mapping[str, Any] | None = None) -> Policy:
    """The policy that a request or an operator may ask for: built in, `fixed:PLAN` (a plan id or kind), or registered
    by an installed package. Nothing is imported that a package did not register: the name may come from the wire.

    Raises NotFound naming the choices, InvalidConfiguration when a registered object is not a policy, InvalidRequest
    for a policy that needs options.
    """
    kind, options = _short_form(name, options or {})
    factory = _registered(kind)
    try:
        return _made(name, factory, options)
    except InvalidInput as error:
        if not _needs_options(factory, options):
            raise
        remedy = "configure it on the edge"
        raise InvalidRequest("isthmus_policy", f"needs options: {error}", value=name, remedy=remedy) from error


def configured_policy(name: str, options: Mapping[str, Any] | None = None, folder: str = "") -> Policy:
    """The policy of a configuration file: what `named_policy` knows, and besides `module:Class`, which is imported.

    options: what the configuration says beside the name. folder: where the configuration lies; a module is looked up
    there, too. Raises NotFound naming the choices, InvalidConfiguration naming the option at fault, or when the class
    cannot be imported or is not a policy.
    """
    kind, options = _short_form(name, options or {})
    return _made(name, _factory(kind, folder), options, folder)


def checked_options(name: str, options: Mapping[str, Any], folder: str = "") -> Mapping[str, Any]:
    """The options, checked and as plain data that reads back equal anywhere: files that they name are read here.

    Raises as `configured_policy`, and InvalidConfiguration naming an option that does not read back equal.
    """
    kind, options = _short_form(name, options)
    made = _options(name, _factory(kind, folder), options, folder)
    return {} if made is None else plain_options(made, name, folder)


def module_file(name: str, folder: str = "") -> Path | None:
    """The file of a `module:Class`'s module, which is not imported for it, though the packages that it is in are. None
    for a policy that is known by its name, and where no such file is found. folder: as in `configured_policy`."""
    own = _own_class(name)
    try:
        with on_module_path(folder):
            spec = None if own is None else importlib.util.find_spec(own[0])
    except (Exception, SystemExit):  # importing a package runs the user's own code
        return None
    return None if spec is None or spec.origin is None or not spec.has_location else Path(spec.origin)


def installed() -> Mapping[str, EntryPoint]:
    """What installed packages register, by name. A built-in name stays ours."""
    return {name: entry_point for name, entry_point in _entry_points().items() if name not in BUILT_IN}


def options_type(factory: object) -> type[BaseModel] | None:
    """The options class that a policy's class names, None where it takes none."""
    found = getattr(factory, "Options", None)
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def _short_form(name: str, options: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """ "fixed:PLAN" is `fixed` with its option."""
    if name.startswith(_FIXED) and len(name) > len(_FIXED):
        return "fixed", {**options, "plan": name.removeprefix(_FIXED)}
    return name, options


def _registered(name: str) -> object:
    if name in BUILT_IN:
        return BUILT_IN[name]
    if name not in installed():
        choices = ", ".join(sorted({*BUILT_IN, *installed()})).replace("fixed", "fixed:PLAN")
        raise NotFound(f"policy: there is no {name!r}; use one of {choices}, or module:Class in the configuration")
    return load_installed(name)


def load_installed(name: str) -> object:
    """What an installed package registers under that name. Raises InvalidConfiguration when it cannot be imported.

    Imported once a process, whether that succeeds or not: see `load_all_installed`.
    """
    entry_point, loaded = installed()[name], _loaded(name)
    if isinstance(loaded, _Failed):
        remedy = f"correct or remove the package that registers it ({entry_point.value})"
        raise InvalidConfiguration("policy", f"cannot be imported: {loaded.reason}", value=name, remedy=remedy)
    return loaded


def load_all_installed() -> None:
    """Import what installed packages register, before requests or operators name it: that may take seconds, for which
    an event loop must not stand still."""
    for name in installed():
        _loaded(name)


class _Failed(NamedTuple):
    reason: str


@functools.cache
def _loaded(name: str) -> object:
    try:
        return installed()[name].load()
    except (Exception, SystemExit) as error:  # importing runs the package's own code
        return _Failed(str(error))


def _factory(name: str, folder: str) -> object:
    own = _own_class(name)
    if own is None:
        return _registered(name)
    module, attribute = own
    try:
        with on_module_path(folder):
            return getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # importing runs the user's own code, maybe a script's
        remedy = f"name a class as module:Class, or one of {', '.join(BUILT_IN)}"
        raise InvalidConfiguration("policy", f"cannot be imported: {error}", value=name, remedy=remedy) from error


def _own_class(name: str) -> tuple[str, str] | None:
    """The module and the class of a `module:Class`."""
    module, colon, attribute = name.partition(":")
    return None if not colon or name.startswith(_FIXED) else (module, attribute)


def _made(name: str, factory: object, options: Mapping[str, Any], folder: str = "") -> Policy:
    made_options = _options(name, factory, options, folder)
    try:
        policy = factory if not callable(factory) else factory() if made_options is None else factory(made_options)
    except InvalidInput:
        raise
    except Exception as error:  # the policy's own code
        remedy = "its class must be made from its Options, or without arguments where it has none"
        raise InvalidConfiguration("policy", f"cannot be made: {error}", value=name, remedy=remedy) from error
    if isinstance(policy, Policy):
        return policy
    remedy = "it needs a method choose(request, link, rng)"
    raise InvalidConfiguration("policy", "is not a policy", value=name, remedy=remedy)


def _options(name: str, factory: object, options: Mapping[str, Any], folder: str) -> BaseModel | None:
    model = options_type(factory)
    if model is None:
        if options:
            option, value = next(iter(options.items()))
            raise InvalidConfiguration(f"policy.{option}", "is no option", value=value, remedy="the policy takes none")
        return None
    return read_options(model, options, name, folder)


def _needs_options(factory: object, options: Mapping[str, Any]) -> bool:
    model = options_type(factory)
    return not options and model is not None and any(field.is_required() for field in model.model_fields.values())


@functools.cache  # reading the metadata of all installed packages takes milliseconds
def _entry_points() -> Mapping[str, EntryPoint]:
    return {entry_point.name: entry_point for entry_point in entry_points(group=ENTRY_POINT_GROUP)}
