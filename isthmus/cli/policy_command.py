"""`isthmus policy`: the placement policies."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from scheduler.policies.catalogue import Listed

__all__ = ["policy"]

policy = typer.Typer(name="policy", help="The placement policies.", no_args_is_help=True)


@policy.callback()
def _policies() -> None:
    """The placement policies."""


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
