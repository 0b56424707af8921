"""`isthmus fit-link`: a recorded link as a model, of which a scenario draws as many links as it wants."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from isthmus.cli.output_file import check_output, write_output
from isthmus.errors import InvalidQuantity
from isthmus.units import format_bandwidth, parse_duration_s
from simulations.markov_link import MarkovLink, fit_markov_link
from simulations.trace_files.reading import read_link_trace

__all__ = ["fit_link"]


def fit_link(
    trace: Annotated[Path, typer.Argument(help="A recording: a table, CSV or mahimahi file.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write.")],
    direction: Annotated[Literal["up", "down"], typer.Option(help="Which way of the recording.")] = "up",
    states: Annotated[int, typer.Option(min=1, help="Levels of bandwidth, each seen equally often.")] = 8,
    step: Annotated[str, typer.Option(help="How long the bandwidth stays at least.")] = "1s",
    as_json: Annotated[bool, typer.Option("--json", help="Print the model as JSON.")] = False,
) -> None:
    """Fit a Markov model to a recorded link, for `markov: FILE` in a scenario's links.

    Its long-run mean and shares are the recording's; how long a level lasts is geometric.
    """
    check_output(output, "-o")
    step_s = parse_duration_s(step, "--step")
    if not step_s > 0.0:
        raise InvalidQuantity("--step", "must be above zero", value=step, remedy="write it like 1s")
    recorded = read_link_trace(trace)
    way = recorded.uplink if direction == "up" else recorded.downlink
    model = fit_markov_link(way, step_s, states, f"{trace.name}, {direction}")
    write_output(output, model.to_json(), "-o")
    print(json.dumps(asdict(model)) if as_json else _told(model, output))


def _told(model: MarkovLink, output: Path) -> str:
    lines = [
        f"{format_bandwidth(bps):>12}  {share:4.0%} of the time, stays with {row[state]:.0%}"
        for state, (bps, share, row) in enumerate(
            zip(model.bandwidths_bps, model.shares, model.transitions, strict=True)
        )
    ]
    return "\n".join([f"wrote {output}: {len(model.shares)} levels in steps of {model.step_s:g} s", *lines])
