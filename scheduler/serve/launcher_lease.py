"""One launcher at a time of a cloud on a cluster of others: a named actor of Ray that lives as long as its launcher.

Ray ends it with the launcher's connection, whichever way that ends, and with that the name is free.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from isthmus.errors import InvalidConfiguration, Unavailable

__all__ = ["ANSWER_S", "FREED_S", "Launcher", "Lease", "RayLease", "take_lease"]

FREED_S = 10.0
"""Within this Ray has seen that a launcher's process is gone (3 s on a busy machine); a machine takes longer."""
ANSWER_S = 120.0
POLL_S = 0.2
_NAMESPACE = "isthmus"


class Launcher(NamedTuple):
    """A process that runs a cloud. since: when it took the lease, for people."""

    host: str
    pid: int
    since: str


class Lease(Protocol):
    """What one launcher has at a time."""

    def take(self, mine: Launcher) -> None:
        """Where somebody has it, nothing."""

    def holder(self) -> Launcher | None:
        """Who has it now; None where nobody answers for it."""


def take_lease(
    lease: Lease, identity: str, mine: Launcher, within_s: float = FREED_S, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Return when this launcher has the lease of a cloud. identity: the cloud's, as in `ApplicationNames`.

    Raises InvalidConfiguration while another one has it that lives, Unavailable where nobody answers for it.
    """
    over_s = time.monotonic() + within_s
    while True:
        lease.take(mine)
        holder = lease.holder()
        if holder == mine:
            return
        if time.monotonic() >= over_s:
            raise _refusal(identity, holder)
        sleep(POLL_S)


def _refusal(identity: str, holder: Launcher | None) -> InvalidConfiguration | Unavailable:
    if holder is None:
        return Unavailable(f"cloud.name: nobody on the Ray cluster answers for {identity!r}; try again")
    problem = f"a launcher on {holder.host}, process {holder.pid}, has run this cloud since {holder.since}"
    remedy = "end that one first, or give this cloud another name"
    return InvalidConfiguration("cloud.name", problem, value=identity, remedy=remedy)


class RayLease:
    """See Lease. Of the cluster that this process is connected to."""

    def __init__(self, identity: str) -> None:
        """identity: see `take_lease`."""
        self._name = f"launcher@{identity}"
        self._keeper: Any = None  # Ray ends an actor that no handle is left of

    def take(self, mine: Launcher) -> None:
        """See Lease."""
        import ray
        from ray.exceptions import ActorAlreadyExistsError

        keeper = ray.remote(_Keeper).options(name=self._name, namespace=_NAMESPACE, num_cpus=0, max_restarts=-1)
        try:
            self._keeper = keeper.remote(mine)
        except ActorAlreadyExistsError:
            return

    def holder(self) -> Launcher | None:
        """See Lease. By its name: of two that come at once, Ray looks for the name before either has it."""
        import ray
        from ray.exceptions import RayError

        try:
            keeper = ray.get_actor(self._name, namespace=_NAMESPACE)
            return Launcher(*ray.get(keeper.launcher.remote(), timeout=ANSWER_S))
        except (RayError, ValueError):  # that of a name that is free
            return None


class _Keeper:
    """The actor."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher

    def launcher(self) -> tuple[object, ...]:
        """Whose it is."""
        return tuple(self._launcher)
