"""What differs between two configurations, in words: pure functions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from isthmus.configuration import Configuration
from nodes.configured_policies import ConfiguredPolicies

__all__ = ["needing_restart", "policies_changed", "rolled_out"]

# What a cloud's launcher holds itself; new replicas would not fit the old registry.
_OF_THE_LAUNCHER = ("registry_listen", "runtime", "address", "name", "tls", "insecure")


def rolled_out(keys: Collection[str], *, cloud: bool, edge: bool) -> tuple[str, ...]:
    """Those of the keys of `needing_restart` that come into force by a roll-out after all, where these sides run.

    An edge takes another version of a model that it serves; the replicas take whatever is theirs.
    """
    return tuple(key for key in keys if _is_rolled_out(key.split("."), cloud, edge))


def _is_rolled_out(key: Sequence[str], cloud: bool, edge: bool) -> bool:
    if key[0] == "cloud":
        return cloud and not set(key[1:2]).intersection(_OF_THE_LAUNCHER)
    if key[0] != "models":
        return False
    return (key[-1] in ("source", "plans", "versions") and len(key) > 2) or (cloud and not edge)


def needing_restart(before: Configuration, after: Configuration, sections: Collection[str]) -> tuple[str, ...]:
    """The keys, dotted, that differ and come into force only when what was started with `before` starts again.

    sections: the keys at the top that matter to it, policies apart. Models go by their names.
    """
    return tuple(_differing(_restarted(before, sections), _restarted(after, sections)))


def policies_changed(before: ConfiguredPolicies, after: ConfiguredPolicies) -> str:
    """What decides for which requests now, and what did before; "" where nothing changed."""
    was, now = before.by_scope, after.by_scope
    words = []
    for scope in dict.fromkeys((*now, *was)):
        if was.get(scope) == now.get(scope):
            continue
        decides = now.get(scope, "none of its own")
        words.append(f"{scope}: {decides}, was {was[scope]}" if scope in was else f"{scope}: {decides}")
    return "; ".join(words)


def _restarted(configuration: Configuration, sections: Collection[str]) -> dict[str, Any]:
    data = configuration.model_dump(include=set(sections))
    models = {one.pop("name"): one for one in data.get("models", ())}
    for model in models.values():
        del model["policy"]
    return {**data, "models": models}


def _differing(before: object, after: object, at: str = "") -> Iterator[str]:
    if before == after:
        return
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        yield at
        return
    for key in dict.fromkeys((*before, *after)):
        yield from _differing(before.get(key), after.get(key), f"{at}.{key}" if at else str(key))
