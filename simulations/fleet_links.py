"""The links of a scenario's edges: their own or shared, with the recordings read once for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal

from isthmus.errors import InvalidConfiguration, InvalidInput
from simulations.bandwidth_trace import BandwidthTrace
from simulations.busy_time import BusyTime
from simulations.faults import Absences, Fault, PlannedFaults, RandomFaults
from simulations.line_capacity import LineCapacity
from simulations.link_delay import LinkDelay
from simulations.markov_link import MarkovLink, read_markov_link
from simulations.scenario import faults as written
from simulations.scenario.links import LinkSection, MarkovRate, TraceRate
from simulations.trace_files.reading import read_link_trace
from simulations.traced_line import TracedLine

__all__ = ["LinkLines", "LinkMaker"]


@dataclass(frozen=True, slots=True)
class LinkLines:
    """Both directions of one link, and how long each was busy."""

    uplink: TracedLine
    downlink: TracedLine
    busy_up: BusyTime
    busy_down: BusyTime


class LinkMaker:
    """Makes links as one section says. section: see LinkSection."""

    def __init__(self, section: LinkSection) -> None:
        """Reads its files. Raises InvalidConfiguration naming the field."""
        self.section = section
        self._up = _capacity(section.uplink, section.name, "uplink")
        self._down = _capacity(section.downlink, section.name, "downlink")

    def lines(self, seed: str, duration_s: float, counted_s: tuple[float, float]) -> LinkLines:
        """A link. seed: equal ones give equal links. counted_s: from when until when its work counts."""
        outages = Absences(_fault_times(self.section.outages).times(Random(f"{seed}/outages")))
        up, down = (
            self._line(rate, written_rate, f"{seed}/{direction}", duration_s, outages)
            for rate, written_rate, direction in (
                (self._up, self.section.uplink, "up"),
                (self._down, self.section.downlink, "down"),
            )
        )
        return LinkLines(up, down, BusyTime(*counted_s), BusyTime(*counted_s))

    def delays(self, seed: str) -> tuple[LinkDelay, LinkDelay]:
        """Up and down, of one edge."""
        half_s, jitter_s = self.section.rtt / 2, self.section.jitter
        if not jitter_s:
            return LinkDelay(half_s), LinkDelay(half_s)
        return tuple(LinkDelay(half_s, jitter_s, Random(f"{seed}/jitter/{way}")) for way in ("up", "down"))  # type: ignore[return-value]

    def _line(
        self,
        rate: LineCapacity | MarkovLink,
        said: float | TraceRate | MarkovRate,
        seed: str,
        duration_s: float,
        outages: Absences,
    ) -> TracedLine:
        gone = outages if self.section.outages != () else None
        if isinstance(rate, MarkovLink):
            return TracedLine(rate.sample(Random(f"{seed}/markov"), duration_s), outages=gone)
        start_s = 0.0
        if isinstance(said, TraceRate):
            # Both directions of a link begin at the same place of their recordings.
            start = Random(f"{seed.rpartition('/')[0]}/start").random()
            start_s = start * rate.period_s if said.start == "random" else said.start
        return TracedLine(rate, start_s, gone)


def _fault_times(
    section: written.RandomFaults | tuple[written.PlannedFault, ...],
) -> RandomFaults | PlannedFaults:
    """As the simulation takes them."""
    if isinstance(section, written.RandomFaults):
        return RandomFaults(section.every, section.lasts)
    return PlannedFaults(tuple(Fault(one.at, one.at + one.lasts) for one in section))


def _capacity(
    rate: float | TraceRate | MarkovRate, name: str, way: Literal["uplink", "downlink"]
) -> LineCapacity | MarkovLink:
    field = f"links.{name}.{way}"
    try:
        if isinstance(rate, MarkovRate):
            return read_markov_link(Path(rate.markov)).scaled(rate.scale)
        trace = _recorded(rate, way) if isinstance(rate, TraceRate) else BandwidthTrace((0.0,), (rate,))
    except InvalidInput as error:
        problem = f"{error.field} {error.problem}"
        raise InvalidConfiguration(field, problem, value=error.value, remedy=error.remedy) from error
    if isinstance(rate, TraceRate) and rate.scale != 1.0:
        trace = BandwidthTrace(trace.times_s, tuple(bps * rate.scale for bps in trace.bandwidths_bps))
    return LineCapacity(trace)


def _recorded(rate: TraceRate, way: Literal["uplink", "downlink"]) -> BandwidthTrace:
    both = read_link_trace(Path(rate.trace))
    return both.uplink if way == "uplink" else both.downlink
