"""How many GPUs of its Ray a replica asks for. Ray only places by them, and shows a replica those that it got."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from isthmus.errors import DeviceUnavailable

__all__ = ["FREED_S", "ONLY_GPU", "gpu_share", "wait_free"]

ONLY_GPU = 0.005
"""Of the only GPU of a Ray of one's own, which edge, replicas and their next version share: a sliver, as of the CPUs,
so that two versions of as many replicas as a configuration allows fit on it."""
FREED_S = 5.0
"""What Ray says is free is late by a moment after a replica has gone: that of the version before."""
_POLL_S = 0.1
_SLACK = 1e-6  # shares are sums of fractions
# Ray counts in ten-thousandths, to the nearest: sixths rounded up would be more than a GPU together.
_PARTS = 10_000


def gpu_share(device: str, there: float, most: int, *, own: bool) -> float:
    """GPUs a replica. device: as configured. there: GPUs that Ray has. most: replicas that there may be at once. own:
    nobody else uses that Ray.

    Raises DeviceUnavailable: Serve would wait without end for a GPU that is not there.
    """
    if device == "cpu" or (device == "auto" and there <= 0):
        return 0.0
    if there <= 0:
        raise DeviceUnavailable("device: cuda was asked for, but Ray sees no GPU here; set device: cpu")
    if own and there <= 1:
        return ONLY_GPU
    # Of several, slivers would all be placed on the first. A replica is on one GPU, and some may have one more than
    # others.
    return 1.0 if most <= there else _PARTS // math.ceil(most / there) / _PARTS


def wait_free(share: float, replicas: int, there: float, free: Callable[[], float], within_s: float = FREED_S) -> None:
    """Return when so many replicas of the next version have a place beside those that serve. there, free: GPUs, of
    which the free ones are asked for until then. Raises DeviceUnavailable where there is none within so many seconds.
    """
    over_s = time.monotonic() + within_s
    while share * replicas > (left := free()) + _SLACK:
        if time.monotonic() >= over_s:
            wanted = f"{replicas} replica(s) with {share:g} GPU each, and {left:g} of {there:g} are free"
            remedy = "have at most half as many replicas as GPUs, or restart to change this"
            raise DeviceUnavailable(f"device: the next version wants {wanted} beside those that serve; {remedy}")
        time.sleep(_POLL_S)
