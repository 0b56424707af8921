"""Links of a scenario: what they carry, by constant, recording or fitted model; delay, jitter, outages."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from isthmus.configuration_fields import Section
from simulations.scenario.faults import Outages
from simulations.scenario.fields import Bandwidth, Duration, File, Name, Start

__all__ = ["Capacity", "LinkSection", "MarkovRate", "TraceRate"]


_Scale = Annotated[float, Field(gt=0.0, le=1e6, allow_inf_nan=False)]


class TraceRate(Section):
    """A recording plays over and over. trace: its file. start: where each edge begins in it, "random" for apart from
    each other. scale: times its bandwidth."""

    trace: File
    start: Start = "random"
    scale: _Scale = 1.0


class MarkovRate(Section):
    """Bandwidth that jumps between levels as a model fitted to recordings does. markov: the model's file. scale: times
    its bandwidth."""

    markov: File
    scale: _Scale = 1.0


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "a model" if "markov" in value else "a recording"
    if isinstance(value, TraceRate):
        return "a recording"
    return "a model" if isinstance(value, MarkovRate) else "a bandwidth"


Capacity = Annotated[
    Annotated[Bandwidth, Tag("a bandwidth")]
    | Annotated[TraceRate, Tag("a recording")]
    | Annotated[MarkovRate, Tag("a model")],
    Discriminator(_kind),
]
"""Bits per second, or what gives them."""


class LinkSection(Section):
    """A link between edges and the cloud.

    rtt: half of it each way; left out, moment by moment as a recording that it plays has it (the uplink's, if both
    have), and 0 where none has. jitter: how far each message's delay may be off, either way. shared: all edges that
    name it share one, whatever their group, as devices behind one access line do; otherwise each has its own. outages:
    nothing crosses meanwhile.
    """

    name: Name
    uplink: Capacity
    downlink: Capacity
    rtt: Duration | None = None
    jitter: Duration = 0.0
    shared: bool = False
    outages: Outages = ()
