"""What an edge believes of the fleet while the registry comes and goes."""

from __future__ import annotations

from nodes.fleet import FleetView, Replica

__all__ = ["VIEW_GRACE_S", "ViewKeeper"]

# Until the last replica has registered with a new registry: a heartbeat that hangs (5 s), a wait before the next
# attempt and one before the channel's (2 s each), and as much again where all of them start on a busy machine. Keeping
# one for too long costs nothing: a replica that is gone has no connection.
VIEW_GRACE_S = 20.0


class ViewKeeper:
    """Keeps the last view, also over a restart of the registry. Without a clock: times are handed in.

    A registry that was restarted knows nothing until the replicas have registered again. So for `grace_s` after a
    watch was opened anew, a replica of the last view counts as there although the new watch has not named it. One that
    the new watch has named is gone as soon as a view leaves it out.
    """

    def __init__(self, grace_s: float = VIEW_GRACE_S) -> None:
        self._grace_s = grace_s
        self._said = FleetView(0)
        self._missed: dict[str, Replica] = {}
        self._grace_until_s = 0.0

    def opened(self, now_s: float) -> None:
        """A new watch answers, and `received` its first view follows: what is believed now is kept for the grace."""
        # Those of a watch before that ended within its grace are missed still, however long ago that was.
        self._missed |= {replica.replica_id: replica for replica in self._said.replicas}
        self._said = FleetView(self._said.version)
        self._grace_until_s = now_s + self._grace_s

    def received(self, view: FleetView, now_s: float) -> FleetView:
        """The registry said `view`; returns what to believe."""
        self._said = view
        for replica in view.replicas:
            self._missed.pop(replica.replica_id, None)
        return self.view(now_s)

    def view(self, now_s: float) -> FleetView:
        """What to believe now."""
        kept = self._missed.values() if now_s < self._grace_until_s else ()
        replicas = sorted((*self._said.replicas, *kept), key=lambda replica: replica.replica_id)
        return FleetView(self._said.version, tuple(replicas))

    def settles_in_s(self, now_s: float) -> float | None:
        """How long until replicas that were not named again are let go; None when there are none."""
        return self._grace_until_s - now_s if self._missed and now_s < self._grace_until_s else None

    def settled(self) -> FleetView:
        """The grace is over: only what the registry itself has named."""
        self._missed = {}
        return self._said
