"""`isthmus capacity`: the cheapest fleet that keeps a scenario's promise."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus.cli.output_file import check_output, write_output

if TYPE_CHECKING:
    from simulations.capacity.plan_answer import CapacityAnswer

__all__ = ["capacity"]


def capacity(
    scenario: Annotated[Path, typer.Argument(metavar="SCENARIO.yaml", help="With `slo`, and `capacity`: what may be.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Set a field, like edges.shop.count=500; repeatable."),
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="Write an SVG: the fleets that were tried.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Find the cheapest fleet that keeps the promise of SCENARIO.yaml: how many replicas, of which type, with which
    edges and policy; what limits it, how many more edges it bears, and what if the world is another.

    Exit 1 where no fleet that may be keeps it.
    """
    from isthmus.cli.capacity_tables import capacity_lines
    from simulations.capacity.fleet_picture import fleet_picture
    from simulations.capacity.planner import CapacityPlanner
    from simulations.scenario.reading import read_scenario
    from simulations.scenario.sweep import parse_setting, with_settings

    check_output(picture, "--picture")
    file = read_scenario(scenario)
    if settings:
        file = with_settings(file, [parse_setting(one, "--set") for one in settings])
    try:
        answer = CapacityPlanner(file, _told).answer()
    finally:
        _told()
    # Printed first: a picture that cannot be written after all must not cost what the search found.
    if as_json:
        print(json.dumps(_plain(_table(answer)), allow_nan=False))
    else:
        print("\n".join(capacity_lines(answer)))
    if picture is not None:
        write_output(picture, fleet_picture(answer), "--picture")
    if answer.found is None:
        raise typer.Exit(1)


def _told(said: str = "") -> None:
    """On a terminal: a search takes a minute. Nothing takes away what was said last."""
    if sys.stderr.isatty():
        words = f"simulating {said}" if said else ""
        print(f"\r\x1b[K{words}", end="", file=sys.stderr, flush=True)


def _table(answer: CapacityAnswer) -> dict[str, Any]:
    """All of it, with what binds the fleet that was found."""
    table = asdict(answer)
    if answer.found is not None:
        table["found"]["binding"] = asdict(answer.found.binding)
    return table


def _plain(value: Any) -> Any:
    """For JSON: a time that has no end is null."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
