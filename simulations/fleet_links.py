"""The links of a scenario's edges: their own or shared, with the recordings read once for all of them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Literal, NamedTuple

from isthmus.errors import InvalidConfiguration, InvalidInput
from simulations.bandwidth_trace import BandwidthTrace
from simulations.busy_time import BusyTime
from simulations.faults import Absences, Fault, PlannedFaults, RandomFaults
from simulations.line_capacity import LineCapacity
from simulations.link_delay import LinkDelay
from simulations.link_trace import LinkTrace
from simulations.markov_line import MarkovLine
from simulations.markov_link import MarkovLink, read_markov_link
from simulations.round_trips import RoundTrips
from simulations.scenario import faults as written
from simulations.scenario.links import LinkSection, MarkovRate, TraceRate
from simulations.trace_files.reading import read_link_trace
from simulations.trace_steps import period_of
from simulations.traced_line import TracedLine

__all__ = ["LinkLines", "LinkMaker", "RecordedRoundTrips", "recorded_round_trips"]


Way = Literal["uplink", "downlink"]


@dataclass(frozen=True, slots=True)
class LinkLines:
    """Both directions of one link, and how long each was busy. round_trips: None where they do not change."""

    uplink: TracedLine
    downlink: TracedLine
    busy_up: BusyTime
    busy_down: BusyTime
    round_trips: RoundTrips | None = None


class RecordedRoundTrips(NamedTuple):
    """From the start of the recording that `said` names."""

    said: TraceRate
    round_trips: RoundTrips


class LinkMaker:
    """Makes links as one section says. section: see LinkSection."""

    def __init__(self, section: LinkSection) -> None:
        """Reads its files. Raises InvalidConfiguration naming the field."""
        self.section = section
        self._up = _capacity(section.uplink, section.name, "uplink")
        self._down = _capacity(section.downlink, section.name, "downlink")
        self._round_trips = recorded_round_trips(section)

    def lines(self, seed: str, counted_s: tuple[float, float]) -> LinkLines:
        """A link. seed: equal ones give equal links. counted_s: from when until when its work counts."""
        outages = Absences(_fault_times(self.section.outages).times(Random(f"{seed}/outages")))
        up, down = (
            self._line(rate, written_rate, f"{seed}/{direction}", outages)
            for rate, written_rate, direction in (
                (self._up, self.section.uplink, "up"),
                (self._down, self.section.downlink, "down"),
            )
        )
        return LinkLines(up, down, BusyTime(*counted_s), BusyTime(*counted_s), self._played_round_trips(seed))

    def delays(self, seed: str, lines: LinkLines) -> tuple[LinkDelay, LinkDelay]:
        """Up and down, of one edge on that link."""
        recorded, jitter_s = lines.round_trips, self.section.jitter
        half_s = (self.section.rtt or 0.0) / 2 if recorded is None else recorded.usual_s / 2

        def delay(way: str) -> LinkDelay:
            return LinkDelay(half_s, jitter_s, f"{seed}/jitter/{way}", recorded)

        return delay("up"), delay("down")

    def _line(
        self,
        rate: LineCapacity | MarkovLink,
        said: float | TraceRate | MarkovRate,
        seed: str,
        outages: Absences,
    ) -> TracedLine:
        gone = outages if self.section.outages != () else None
        if isinstance(rate, MarkovLink):
            return TracedLine(MarkovLine(rate, f"{seed}/markov"), outages=gone)
        start_s = 0.0
        if isinstance(said, TraceRate):
            start_s = _start_s(said, rate.period_s, seed.rpartition("/")[0])
        return TracedLine(rate, start_s, gone)

    def _played_round_trips(self, seed: str) -> RoundTrips | None:
        found = self._round_trips
        if found is None:
            return None
        return replace(found.round_trips, start_s=_start_s(found.said, period_of(found.round_trips.times_s), seed))


def _fault_times(
    section: written.RandomFaults | tuple[written.PlannedFault, ...],
) -> RandomFaults | PlannedFaults:
    """As the simulation takes them."""
    if isinstance(section, written.RandomFaults):
        return RandomFaults(section.every, section.lasts)
    return PlannedFaults(tuple(Fault(one.at, one.at + one.lasts) for one in section))


def _start_s(said: TraceRate, period_s: float, seed: str) -> float:
    """Where a link of that seed begins in a recording: in each direction's, and in its round trips, at one place."""
    if said.start != "random":
        return said.start
    # One value has no length, and holds wherever one begins.
    return Random(f"{seed}/start").random() * period_s if math.isfinite(period_s) else 0.0


def recorded_round_trips(section: LinkSection) -> RecordedRoundTrips | None:
    """Those of the way whose recording has some, the uplink's first; None where `rtt` says what they are, or there are
    none. Raises InvalidConfiguration naming the field."""
    if section.rtt is not None:
        return None
    for way, rate in (("uplink", section.uplink), ("downlink", section.downlink)):
        if isinstance(rate, TraceRate):
            found = _recording(rate, f"links.{section.name}.{way}").round_trips
            if found is not None:
                return RecordedRoundTrips(rate, found)
    return None


def _capacity(rate: float | TraceRate | MarkovRate, name: str, way: Way) -> LineCapacity | MarkovLink:
    field = f"links.{name}.{way}"
    if isinstance(rate, MarkovRate):
        with _named(field):
            return read_markov_link(Path(rate.markov)).scaled(rate.scale)
    if not isinstance(rate, TraceRate):
        return LineCapacity(BandwidthTrace((0.0,), (rate,)))
    recording = _recording(rate, field)
    trace = recording.uplink if way == "uplink" else recording.downlink
    if rate.scale != 1.0:
        trace = trace.scaled(rate.scale)
    return LineCapacity(trace)


def _recording(rate: TraceRate, field: str) -> LinkTrace:
    with _named(field):
        return read_link_trace(Path(rate.trace))


@contextlib.contextmanager
def _named(field: str) -> Iterator[None]:
    """What is wrong with a file is told of the field that names it."""
    try:
        yield
    except InvalidInput as error:
        problem = f"{error.field} {error.problem}"
        raise InvalidConfiguration(field, problem, value=error.value, remedy=error.remedy) from error
