"""One edge of a fleet: made when its first request comes, so that one without requests costs next to nothing."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from nodes.admission import depth_of
from nodes.protocol.periods import ECHO_PERIOD_S
from scheduler.plan_chooser import PlanChooser
from scheduler.steered_policies import SteeredPolicies
from simulations.busy_time import BusyTime
from simulations.cloud import SimulatedCloud
from simulations.edge_facts import EdgeFacts
from simulations.edge_link import EdgeLink
from simulations.edge_site import EdgeSite
from simulations.fleet_links import LinkLines, LinkMaker
from simulations.kernel import Simulation
from simulations.scenario.edges import EdgeSection
from simulations.site_cloud import SiteCloud
from simulations.site_request import Arrival, Served

__all__ = ["EdgeKind", "FleetEdge", "RunPlace", "Watcher", "lines_of"]


class Watcher(Protocol):
    """Is told of a run's requests while it goes."""

    def arrived(self, arrival: Arrival) -> None:
        """One came."""

    def ended(self, served: Served) -> None:
        """It was answered, or will not be."""


@dataclass(frozen=True, slots=True)
class EdgeKind:
    """What the edges of one group share, in every run. policies: they are pure."""

    section: EdgeSection
    facts: EdgeFacts
    policies: SteeredPolicies
    link: LinkMaker


@dataclass(frozen=True, slots=True)
class RunPlace:
    """What the edges of one run share. seed: of the run, as text. counted_s: from when until when what happens counts.
    shared: the lines of the links that edges share, by link."""

    simulation: Simulation
    cloud: SimulatedCloud
    seed: str
    counted_s: tuple[float, float]
    shared: Mapping[str, LinkLines]


class FleetEdge:
    """name: of its group and its number in it. site, lines, chooser: None before its first request. busy: when it
    computed. radio: when it sent and received. listeners: what is called, besides, with the ended requests of a client,
    by its name."""

    def __init__(
        self,
        kind: EdgeKind,
        number: int,
        place: RunPlace,
        ended: Callable[[FleetEdge, Served], None],
        among_all: int,
        watcher: Watcher | None = None,
    ) -> None:
        """number: in its group. among_all: in the fleet."""
        self._watcher = watcher
        self.kind, self.name = kind, f"{kind.section.name}-{number}"
        self._number = among_all
        self._place, self._ended = place, ended
        self.site: EdgeSite | None = None
        self.lines: LinkLines | None = None
        self.chooser: PlanChooser | None = None
        self.busy, self.radio = BusyTime(*place.counted_s), BusyTime(*place.counted_s)
        self.listeners: dict[str, Callable[[Served], None]] = {}

    def arrive(self, arrival: Arrival) -> None:
        """A request comes, now."""
        if self._watcher is not None:
            self._watcher.arrived(arrival)
        site = self.site or self._made()
        site.arrive(arrival)

    def _made(self) -> EdgeSite:
        place, section = self._place, self.kind.section
        seed = f"{place.seed}/{self.name}"
        number = zlib.crc32(seed.encode())
        self.chooser = chooser = PlanChooser(
            self.kind.policies, seed=number, explore_share=section.explore,
            probability=section.admission.probability, log_capacity=1,
        )  # fmt: skip
        phase = number / 2**32
        self.lines = place.shared.get(section.link) or self.kind.link.lines(seed, place.counted_s)
        link = EdgeLink(
            chooser,
            (self.lines.uplink, self.lines.downlink),
            self.kind.link.delays(seed, self.lines),
            (self.lines.busy_up, self.lines.busy_down),
            phase * ECHO_PERIOD_S,
            self.radio,
        )
        cloud = SiteCloud(
            place.simulation, chooser, place.cloud, link.usual_rtt_s, lambda: link.heard_s,
            number=self._number, phase=phase, seed=number,
        )  # fmt: skip
        admission = chooser.admission(section.queue, depth_of(section.batching.max_batch))
        self.site = EdgeSite(
            place.simulation, self.kind.facts, chooser, link, cloud, self._request_ended, admission, self.busy
        )
        if section.link in place.shared:
            link.watch.stop_s = place.counted_s[1]
            link.watch.follow(place.simulation)
        return self.site

    def _request_ended(self, served: Served) -> None:
        self._ended(self, served)
        if self._watcher is not None:
            self._watcher.ended(served)
        listener = self.listeners.get(served.arrival.client)
        if listener is not None:  # a client hears of it when it is back there
            simulation, heard_s = self._place.simulation, served.arrival.time_s + served.took_s
            simulation.at(max(simulation.now_s, heard_s), listener, served)


def lines_of(edges: Sequence[FleetEdge]) -> list[LinkLines]:
    """The lines of those that have had a request; one that they share once."""
    return list({id(edge.lines): edge.lines for edge in edges if edge.lines is not None}.values())
