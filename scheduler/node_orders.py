"""What a launcher may order of a node that serves, and what the node answers: one line each, over a trusted way.

| order | answer |
|---|---|
| `status` | `{"status": NodeStatus}` |
| `{"policies": ConfiguredPolicies}`, to an edge | `{"policies": "in force"}` |
| `{"models": [ModelArtifact, ...]}`, to an edge: serve these versions | `{"models": "in force"}` |

An order that cannot be followed changes nothing and is answered `{"refused": MESSAGE, "kind": CLASS}`. Who gives orders
may have a `module:Class` imported, so none of it is offered at a port. This is the launcher's half;
`scheduler.node_answers` is the node's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from isthmus import errors
from isthmus.errors import InvalidConfiguration, IsthmusError, Unavailable
from nodes.configured_policies import ConfiguredPolicies
from nodes.settings import ModelArtifact

__all__ = ["STATUS_ORDER", "error_said", "is_answer", "models_order", "policies_order", "raise_refusal"]

STATUS_ORDER = "status"


def policies_order(policies: ConfiguredPolicies) -> str:
    """The order that puts these policies in force."""
    return json.dumps({"policies": asdict(policies)})


def models_order(models: Sequence[ModelArtifact]) -> str:
    """The order that has an edge serve these versions of its models."""
    return json.dumps({"models": [asdict(model) for model in models]})


def is_answer(said: Mapping[str, Any]) -> bool:
    """Whether a node says this to an order about policies or models."""
    return not said.keys().isdisjoint(("policies", "models", "refused"))


def raise_refusal(said: Mapping[str, Any]) -> None:
    """Raise what the node refused the order with, where it did."""
    if "refused" in said:
        raise error_said(said["refused"], said.get("kind"))


def error_said(message: object, kind: object) -> IsthmusError:
    """A node's error again: of its own class where that takes one message, so that exit codes stay right."""
    made: Callable[[str], IsthmusError] = getattr(errors, str(kind), Unavailable)
    try:
        return made(str(message))
    except TypeError:
        return InvalidConfiguration("node", str(message))
