"""What a replica answered one request with."""

from __future__ import annotations

from typing import NamedTuple

from nodes.guarded_connection import GuardedConnection
from nodes.protocol.events import ResponseArrived
from nodes.sending import Sending

__all__ = ["CloudAnswer"]


class CloudAnswer(NamedTuple):
    """A replica's answer, which nobody has read yet: see `CloudAsking.read` and `misanswered`. elapsed_s: since the
    tensors were sent to that replica, or it was waited for again. at_first: it was asked first, and nobody before it.
    outran: what had been sent to another one before, which had not answered when this one's came, or not rightly."""

    response: ResponseArrived
    elapsed_s: float
    replica: GuardedConnection
    at_first: bool
    outran: Sending | None = None
