"""The replicas of a simulated cloud as they start, serve, fail, drain and go, and what that costs in replica time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from nodes.protocol.periods import LOAD_PERIOD_S
from simulations.kernel import Simulation
from simulations.replica import SimulatedReplica
from simulations.replica_kind import ReplicaKind

__all__ = ["Member", "SimulatedCloud"]

# The longest that an edge takes to connect to a replica of which it has heard.
_LONGEST_CONNECT_S = 5.0


@dataclass(slots=True, eq=False)
class Member:
    """A replica's life. asked_s: when it was asked for. serves_s: when it began to serve, -inf for those of the
    beginning, None while it starts. leaves_s: when it began to drain. gone_s: when it had ended; None until then."""

    replica: SimulatedReplica
    asked_s: float
    serves_s: float | None = None
    leaves_s: float | None = None
    gone_s: float | None = None

    def present_s(self, from_s: float, until_s: float) -> float:
        """For how long of that time it was paid for: from when it was asked for until it was gone."""
        end_s = until_s if self.gone_s is None else min(until_s, self.gone_s)
        return max(0.0, end_s - max(from_s, self.asked_s))


class SimulatedCloud:
    """serving: that take requests, as the registry knows, in the order of their start. changed_s: when that changed
    last. registry_s: how late an edge hears of a new replica. on_start: called with each replica that begins to serve,
    those of the beginning excepted; on_want: when an edge found none."""

    def __init__(
        self,
        simulation: Simulation,
        kind: ReplicaKind | None = None,
        replicas: int = 1,
        *,
        start_s: float = 0.0,
        registry_s: float = 0.0,
        report_every_s: float = LOAD_PERIOD_S,
        counted_s: tuple[float, float] = (0.0, math.inf),
    ) -> None:
        """replicas: that are there at the beginning. start_s: from when one is asked for until it serves. counted_s:
        from when until when their work counts as such."""
        self._simulation, self._kind = simulation, kind or ReplicaKind()
        self._start_s, self._report_every_s, self._counted_s = start_s, report_every_s, counted_s
        self.registry_s = registry_s
        self.members: list[Member] = []
        self.changed_s = float("-inf")
        self._serving: tuple[Member, ...] = ()
        self.serving: tuple[SimulatedReplica, ...] = ()
        self._leaving: list[Member] = []
        self._troubled: dict[SimulatedReplica, float] = {}
        self._on_failure: dict[SimulatedReplica, dict[int, Callable[[SimulatedReplica], None]]] = {}
        self.on_start: list[Callable[[SimulatedReplica], None]] = []
        self.on_want: list[Callable[[], None]] = []
        for _ in range(replicas):
            self._made(float("-inf"))
        self._now_serve(tuple(self.members))

    # ---- who is there ----------------------------------------------------------------------------------------------

    @property
    def replicas(self) -> tuple[SimulatedReplica, ...]:
        """All that there ever were."""
        return tuple(member.replica for member in self.members)

    @property
    def starting(self) -> int:
        """Replicas that were asked for and do not serve yet."""
        return sum(member.serves_s is None and member.gone_s is None for member in self.members)

    @property
    def running(self) -> int:
        """Replicas that are paid for: they start, serve or drain."""
        return sum(member.gone_s is None for member in self.members)

    def paid_s(self, until_s: float) -> float:
        """Seconds of replicas until then, each from when it was asked for until it was gone."""
        return sum(member.present_s(0.0, until_s) for member in self.members)

    def seen_by(self, half_s: float, connect_s: float) -> tuple[SimulatedReplica, ...]:
        """That an edge has a connection to now, failures aside. half_s: of its round trip. connect_s: from when it
        hears of a replica until it can ask it. A replica that drains says so itself, which is sooner than the registry.
        """
        now_s = self._simulation.now_s
        late_s = self.registry_s + half_s + connect_s
        if now_s - self.changed_s > late_s:
            return self.serving
        members = [*self._serving, *self._leaving]
        return tuple(
            member.replica
            for member in members
            if member.serves_s is not None
            and member.serves_s + late_s <= now_s
            and (member.leaves_s is None or now_s < member.leaves_s + half_s)
        )

    # ---- starting and ending ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """One more, which serves after the start time."""
        member = self._made(self._simulation.now_s)
        self._simulation.after(self._start_s, self._started, member)

    def drain_one(self) -> bool:
        """One less: the last that was asked for; one that starts is given up, one that serves answers what it has
        accepted. False where there is none."""
        for member in reversed(self.members):
            if member.gone_s is None and member.leaves_s is None:
                self._drain(member)
                return True
        return False

    def want(self) -> None:
        """An edge has a request and knows of no replica."""
        for call in self.on_want:
            call()

    def _made(self, asked_s: float) -> Member:
        number = len(self.members)
        replica = SimulatedReplica(self._simulation, self._kind, number, self._report_every_s, self._counted_s)
        # Those of the beginning have always been there.
        member = Member(replica, asked_s, asked_s if asked_s < 0.0 else None)
        self.members.append(member)
        return member

    def _started(self, member: Member) -> None:
        if member.gone_s is None:
            member.serves_s = self._simulation.now_s
            self._changed((*self._serving, member))
            for call in self.on_start:
                call(member.replica)

    def _drain(self, member: Member) -> None:
        member.leaves_s = self._simulation.now_s
        self._leaving = [*(one for one in self._leaving if one.gone_s is None), member]
        self._changed(tuple(one for one in self._serving if one is not member))
        member.replica.drain(lambda: self._gone(member))

    def _gone(self, member: Member) -> None:
        member.gone_s = self._simulation.now_s

    def _changed(self, serving: tuple[Member, ...]) -> None:
        self.changed_s = self._simulation.now_s
        self._now_serve(serving)

    def _now_serve(self, serving: tuple[Member, ...]) -> None:
        self._serving, self.serving = serving, tuple(member.replica for member in serving)

    # ---- failures --------------------------------------------------------------------------------------------------

    def fail(self, replica: SimulatedReplica) -> None:
        """It dies with all that it has; its connections close. Nothing to do where it is down or gone."""
        if replica.up:
            replica.fail()
            self._troubled[replica] = float("inf")
            for closed in tuple(self._on_failure.pop(replica, {}).values()):
                closed(replica)

    def recover(self, replica: SimulatedReplica) -> None:
        """It is there again, if it is not gone for good."""
        if replica.recover():
            self._troubled[replica] = self._simulation.now_s + self.registry_s + _LONGEST_CONNECT_S
        elif not replica.up:
            self._troubled.pop(replica, None)

    def troubled(self) -> list[SimulatedReplica]:
        """Those that are down, or that edges may not have found again."""
        if not self._troubled:
            return []
        now_s = self._simulation.now_s
        for replica in [one for one, until_s in self._troubled.items() if until_s < now_s]:
            del self._troubled[replica]
        return list(self._troubled)

    def watch(self, replica: SimulatedReplica, watcher: int, closed: Callable[[SimulatedReplica], None]) -> None:
        """closed: called once when it dies. watcher: whose; one call for each."""
        self._on_failure.setdefault(replica, {})[watcher] = closed

    def unwatch(self, replica: SimulatedReplica, watcher: int) -> None:
        """Not any more. Nothing to do where it was called."""
        watchers = self._on_failure.get(replica)
        if watchers is not None:
            watchers.pop(watcher, None)
