"""One edge by itself, or beside others before one cloud, with arrivals that are known beforehand."""

from __future__ import annotations

from dataclasses import dataclass

from nodes.admission import Admission
from nodes.chooser import Chooser
from nodes.protocol.periods import ECHO_PERIOD_S
from partitioner.plan_table import PlanEntry, PlanTable
from simulations.bandwidth_trace import BandwidthTrace
from simulations.busy_time import BusyTime
from simulations.cloud import SimulatedCloud
from simulations.edge_facts import EdgeFacts
from simulations.edge_link import EdgeLink
from simulations.edge_site import EdgeSite
from simulations.edge_worker import UNBATCHED
from simulations.kernel import Simulation
from simulations.link_delay import LinkDelay
from simulations.replica_kind import ReplicaKind
from simulations.site_cloud import SiteCloud
from simulations.site_request import Arrival, Served
from simulations.traced_line import TracedLine

__all__ = ["UNBATCHED", "Arrival", "Served", "Site", "SiteFacts"]


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """What the site is. spread: standard deviation of the logarithm of compute times and of message sizes about what
    the plans' costs say."""

    table: PlanTable
    uplink: BandwidthTrace
    downlink: BandwidthTrace
    rtt_s: float
    spread: float = 0.0


class Site:
    """Give it arrivals, run the simulation, read `served`."""

    def __init__(
        self,
        facts: SiteFacts,
        chooser: Chooser,
        simulation: Simulation,
        cloud: SimulatedCloud | None = None,
        phase_s: float = 0.0,
        admission: Admission | None = None,
    ) -> None:
        """cloud: shared with other sites; one replica of its own, without batches, where it is None. phase_s: when its
        echoes and load reports begin, so that those of many sites do not come at once. admission: lets in as many as
        come where it is None."""
        self._simulation = simulation
        delays = LinkDelay(facts.rtt_s / 2), LinkDelay(facts.rtt_s / 2)
        lines = TracedLine(facts.uplink), TracedLine(facts.downlink)
        link = EdgeLink(chooser, lines, delays, (BusyTime(), BusyTime()), phase_s)
        cloud = cloud or SimulatedCloud(simulation, ReplicaKind(UNBATCHED))
        known = SiteCloud(
            simulation,
            chooser,
            cloud,
            facts.rtt_s,
            lambda: link.heard_s,
            number=id(self),
            phase=phase_s / ECHO_PERIOD_S,
        )
        tables = EdgeFacts({"": facts.table}, facts.spread)
        self.served: list[Served] = []
        self._edge = EdgeSite(simulation, tables, chooser, link, known, self.served.append, admission)

    def expect(self, arrivals: list[Arrival]) -> None:
        """Let these come, and the link be echoed on until the last one is there."""
        for arrival in arrivals:
            self._simulation.at(arrival.time_s, self._edge.arrive, arrival)
        self._edge.link.watch.stop_s = max(arrival.time_s for arrival in arrivals)

    def finish_s(self, entry: PlanEntry, arrival: Arrival, now_s: float) -> float:
        """See EdgeSite."""
        return self._edge.finish_s(entry, arrival, now_s)
