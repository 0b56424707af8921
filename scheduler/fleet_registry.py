"""Which replicas exist, as leases that run out: the memory of the fleet registry, without sockets or a clock.

Nothing is stored. After a restart the registry is empty, a heartbeat is answered with "not known", and the replicas
register again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from isthmus.errors import InvalidConfiguration, Overloaded
from nodes.fleet import FleetView, Replica

__all__ = ["DEFAULT_LEASE_S", "FleetRegistry"]

# A replica that is killed is out of every edge's view after this long; it heartbeats three times in it.
DEFAULT_LEASE_S = 3.0
MAX_REPLICAS = 4096


@dataclass(frozen=True, slots=True)
class _Lease:
    replica: Replica
    expires_s: float


class FleetRegistry:
    """Leases by replica id. Times are readings of one monotonic clock, handed in, never going back.

    Invariant: the version grows by one exactly when the view (the replicas, what they serve, whether they drain)
    changes. A lease that has run out counts for nothing, whether or not `expire` was called in between.
    """

    def __init__(self, lease_s: float = DEFAULT_LEASE_S, max_replicas: int = MAX_REPLICAS) -> None:
        """Raises InvalidConfiguration when lease_s is not a positive finite number of seconds."""
        if not (math.isfinite(lease_s) and lease_s > 0):
            raise InvalidConfiguration("lease_s", "must be above zero and finite", value=lease_s)
        self._lease_s = lease_s
        self._max_replicas = max_replicas
        self._leases: dict[str, _Lease] = {}
        self._version = 0

    def register(self, replica: Replica, now_s: float) -> float:
        """Take a replica in, or replace what is known of it. Returns the length of its lease in seconds.

        Raises InvalidRequest for a replica without id or target, Overloaded when the registry is full.
        """
        self.expire(now_s)
        known = self._leases.get(replica.checked().replica_id)
        if known is None and len(self._leases) >= self._max_replicas:
            raise Overloaded(f"fleet registry: full with {self._max_replicas} replicas; run another registry")
        self._put(replica, now_s)
        return self._lease_s

    def heartbeat(self, replica_id: str, draining: bool, now_s: float) -> bool:
        """Prolong a lease and note whether the replica drains. False when it is not known: it must register again."""
        self.expire(now_s)
        lease = self._leases.get(replica_id)
        if lease is None:
            return False
        self._put(replace(lease.replica, draining=draining), now_s)
        return True

    def leave(self, replica_id: str, now_s: float) -> bool:
        """Forget a replica now. False when it was not known."""
        self.expire(now_s)
        if self._leases.pop(replica_id, None) is None:
            return False
        self._version += 1
        return True

    def expire(self, now_s: float) -> tuple[str, ...]:
        """Forget every replica whose lease has run out; their ids, sorted."""
        gone = sorted(key for key, lease in self._leases.items() if lease.expires_s <= now_s)
        for key in gone:
            del self._leases[key]
        self._version += bool(gone)
        return tuple(gone)

    def next_expiry_s(self) -> float | None:
        """When the next lease runs out, None without one: call `expire` then."""
        return min((lease.expires_s for lease in self._leases.values()), default=None)

    @property
    def lease_s(self) -> float:
        """How long a lease lasts without a heartbeat."""
        return self._lease_s

    def view(self) -> FleetView:
        """All replicas, sorted by id."""
        return FleetView(self._version, tuple(self._leases[key].replica for key in sorted(self._leases)))

    def _put(self, replica: Replica, now_s: float) -> None:
        known = self._leases.get(replica.replica_id)
        self._leases[replica.replica_id] = _Lease(replica, now_s + self._lease_s)
        self._version += known is None or known.replica != replica
