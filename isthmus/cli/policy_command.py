"""`isthmus policy`: the placement policies: which there are, which are in force, and to change them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from isthmus.cli.operator_commands import canary, set_policy, shadow, show, unset_policy

if TYPE_CHECKING:
    from scheduler.policies.catalogue import Listed

__all__ = ["policy"]

policy = typer.Typer(name="policy", help="The placement policies: list, see and change them.", no_args_is_help=True)


@policy.callback()
def _policies() -> None:
    """The placement policies: list, see and change them."""


@policy.command("list")
def list_policies(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """List the policies that a configuration can name: the built-in ones and those that installed packages register."""
    from scheduler.policies.catalogue import catalogue

    listed = tuple(catalogue())
    if as_json:
        print(json.dumps({"policies": [asdict(one) for one in listed]}))
        return
    for one in listed:
        _print(one)
    print("one's own: policy: {name: module:Class, ...}")


def _print(one: Listed) -> None:
    origin = "" if one.origin == "built in" else f" ({one.origin})"
    print(f"{one.name}{origin}: {one.purpose}")
    for name, said in one.options.items():
        print(f"    {name}: {said}")


policy.command("show")(show)
policy.command("set")(set_policy)
policy.command("unset")(unset_policy)
policy.command("shadow")(shadow)
policy.command("canary")(canary)
