"""What one edge knows of the cloud's replicas, and how it gets on with each: which it can ask, how long it would wait,
which it found dead or silent. The rules are the live ones: circuit breaker, backoff, queue estimate, the sooner of two.

Only replicas with which something is under way, or not right, have anything kept of them: a fleet of ten thousand
edges before a thousand replicas is ten million connections, of which a run uses few.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from random import Random

from nodes.backoff import Backoff
from nodes.chooser import Chooser
from nodes.circuit_breaker import FIRST_OPEN_S, LONGEST_OPEN_S, CircuitBreaker
from nodes.protocol.periods import LOAD_PERIOD_S, WANT_PERIOD_S
from nodes.queues import CloudQueue
from nodes.replica_health import ReplicaHealth
from simulations.cloud import SimulatedCloud
from simulations.kernel import Simulation
from simulations.load_history import PHASES
from simulations.replica import SimulatedReplica

__all__ = ["CONNECT_TRIPS", "SiteCloud"]

# The transport's handshake, Describe, and the plans, which a replica that has prepared them for others knows at once.
CONNECT_TRIPS = 3


@dataclass(slots=True)
class _UnderWay:
    """What an edge has sent to one replica. lost: of each request, called where the replica dies. alone: the request
    that has had the stream for itself so far, None where none has."""

    queue: CloudQueue
    lost: dict[int, Callable[[], None]] = field(default_factory=dict)
    alone: int | None = None


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A replica with which not all is well, and since when."""

    health: ReplicaHealth
    since_s: float


class SiteCloud:
    """Of one edge. Requests are known by the edge's own numbers."""

    def __init__(
        self,
        simulation: Simulation,
        chooser: Chooser,
        cloud: SimulatedCloud,
        rtt_s: float,
        heard_s: Callable[[], float],
        *,
        number: int = 0,
        phase: float = 0.0,
        seed: int = 0,
    ) -> None:
        """rtt_s: the usual one of the edge's link. Words of replicas take half of it, also where round trips change: so
        nothing that was heard is unheard. heard_s: when anything came back over that link last. number: of the edge.
        phase: when in their period load reports come to it, from 0 up to 1. seed: of its circuit breakers."""
        self._simulation, self._chooser, self._cloud = simulation, chooser, cloud
        self._rtt_s, self._half_s, self._heard_link_s = rtt_s, rtt_s / 2, heard_s
        self._number, self._phase, self._seed = number, int(phase * PHASES) % PHASES, seed
        self._rng: Random | None = None
        self._unasked = chooser.cloud_queue()
        self._under_way: dict[SimulatedReplica, _UnderWay] = {}
        self._doubts: dict[SimulatedReplica, _Doubt] = {}
        self._wanted_s = -WANT_PERIOD_S

    # ---- whom to ask -----------------------------------------------------------------------------------------------

    def pick(self, now_s: float) -> SimulatedReplica | None:
        """The replica to ask, None without any."""
        able = self.able(now_s)
        if able:
            return able[self._chooser.choose_replica(len(able), lambda place: self.wait_s(able[place], now_s))]
        return None

    def want(self, now_s: float) -> None:
        """Say, now and then, that there are requests here that might use a replica, where none is known."""
        if not self._known() and now_s - self._wanted_s >= WANT_PERIOD_S:
            self._wanted_s = now_s
            self._simulation.after(self._half_s, self._cloud.want)

    def able(self, now_s: float, without: Collection[SimulatedReplica] = ()) -> Sequence[SimulatedReplica]:
        """Those that can be asked now, but for some."""
        known = self._known()
        doubtful = [*self._cloud.troubled(), *self._doubts]
        if not (doubtful or without):
            return known
        out = {one for one in doubtful if not self.open(one, now_s)}.union(without)
        return [one for one in known if one not in out] if out else known

    def _known(self) -> Sequence[SimulatedReplica]:
        return self._cloud.seen_by(self._half_s, CONNECT_TRIPS * self._rtt_s)

    def open(self, replica: SimulatedReplica, now_s: float) -> bool:
        """Whether that one can be asked: connected, not known to drain, and its health allows it."""
        health = self._health(replica)
        if now_s >= replica.drains_s + self._half_s:
            return False
        return self._connected(replica, now_s) and (health is None or health.allows(self._heard_s(replica), now_s))

    def _connected(self, replica: SimulatedReplica, now_s: float) -> bool:
        """One that died is, live, started as another one, with a new id: the registry tells of it, and it is dialled,
        live after a moment of up to 0.8 s, which is not simulated."""
        fault = replica.last_fault(now_s - self._half_s)
        if fault is None:
            return True
        heard_s = fault.until_s + self._cloud.registry_s + self._half_s
        return heard_s + CONNECT_TRIPS * self._rtt_s <= now_s

    def _heard_s(self, replica: SimulatedReplica) -> float:
        """When that replica said anything last, an echo too: they all come over the one link."""
        heard_s = self._heard_link_s()
        if replica.up or not replica.faults:  # one that drained told so itself
            return heard_s
        return min(heard_s, replica.faults[-1].at_s + self._half_s)

    def _random(self) -> Random:
        """Most edges never need one."""
        self._rng = self._rng or Random(self._seed)
        return self._rng

    # ---- how long it takes there -----------------------------------------------------------------------------------

    def wait_s(self, replica: SimulatedReplica, now_s: float) -> float:
        """Seconds that a suffix sent now is expected to wait there, by the last report and the own requests since."""
        under_way = self._under_way.get(replica)
        queue = self._unasked if under_way is None else under_way.queue
        # Nothing is heard while the link is out, reports neither.
        told_s = min(now_s, self._heard_link_s() + LOAD_PERIOD_S)
        said = replica.history.reported(told_s - self._half_s, self._phase)
        made_s, queued_s = (0.0, 0.0) if said is None else said
        queue.reported(queued_s, made_s + self._half_s, self._half_s)
        return queue.wait_s(now_s)

    # ---- a request -------------------------------------------------------------------------------------------------

    def sent(
        self, replica: SimulatedReplica, number: int, expected_s: float, now_s: float, lost: Callable[[], None]
    ) -> None:
        """A request left for that replica, its suffix predicted to take `expected_s`. lost: called when the edge hears
        that the replica died before it was answered."""
        under_way = self._under_way.get(replica)
        if under_way is None:
            under_way = self._under_way[replica] = _UnderWay(self._chooser.cloud_queue())
            self._cloud.watch(replica, self._number, self._closed)
        under_way.queue.sent(number, expected_s, now_s)
        under_way.lost[number] = lost
        under_way.alone = number if len(under_way.lost) == 1 else None
        health = self._health(replica)
        if health is not None:
            health.started(number, now_s)

    def was_alone(self, replica: SimulatedReplica, number: int) -> bool:
        """Whether a request that is under way was and is its stream's only one."""
        under_way = self._under_way.get(replica)
        return under_way is not None and under_way.alone == number

    def answered(self, replica: SimulatedReplica, number: int, now_s: float) -> None:
        """It was answered."""
        self._left(replica, number)
        health = self._health(replica)
        if health is not None:
            health.succeeded(now_s)
            if health.is_good(now_s, now_s):
                del self._doubts[replica]

    def turned_away(self, replica: SimulatedReplica, number: int) -> None:
        """The replica refused it, for want of time or room, or nobody wants it any more: no word of its health."""
        self._left(replica, number)
        health = self._health(replica)
        if health is not None:
            health.released(number)

    def gave_up(self, replica: SimulatedReplica, number: int, sent_s: float, now_s: float, *, late: bool) -> None:
        """The edge waits no longer for it; see ReplicaHealth."""
        self.turned_away(replica, number)
        heard_s = self._heard_s(replica)
        if late or heard_s < sent_s:
            health = self._health(replica) or self._doubted(replica)
            health.gave_up(sent_s, heard_s, now_s, late=late)

    def _left(self, replica: SimulatedReplica, number: int) -> None:
        under_way = self._under_way.get(replica)
        if under_way is None or under_way.lost.pop(number, None) is None:
            return
        under_way.queue.finished(number)
        if not under_way.lost:
            del self._under_way[replica]
            self._cloud.unwatch(replica, self._number)

    def _closed(self, replica: SimulatedReplica) -> None:
        self._simulation.after(self._half_s, self._heard_of_end, replica)

    def _heard_of_end(self, replica: SimulatedReplica) -> None:
        """What it failed says nothing of the one that is started in its place."""
        under_way = self._under_way.pop(replica, None)
        if under_way is not None:
            for lost in tuple(under_way.lost.values()):
                lost()

    def _health(self, replica: SimulatedReplica) -> ReplicaHealth | None:
        """None where nothing speaks against it: as of one that has died since, which comes back as another one."""
        doubt = self._doubts.get(replica)
        if doubt is None:
            return None
        fault = replica.last_fault(self._simulation.now_s - self._half_s)
        if fault is None or doubt.since_s > fault.at_s + self._half_s:
            return doubt.health
        del self._doubts[replica]
        return None

    def _doubted(self, replica: SimulatedReplica) -> ReplicaHealth:
        breaker = CircuitBreaker(waits=Backoff(FIRST_OPEN_S, LONGEST_OPEN_S, self._random()))
        doubt = self._doubts[replica] = _Doubt(ReplicaHealth(breaker), self._simulation.now_s)
        return doubt.health
