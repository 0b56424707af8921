"""One sending of a request's boundary tensors to one replica."""

from __future__ import annotations

from typing import NamedTuple

from nodes.guarded_connection import GuardedConnection
from nodes.stall_watch import StallWatch

__all__ = ["Sending"]


class Sending(NamedTuple):  # made for each request
    """remote_s: in how long that replica was predicted to have answered, as it was sent. request_id: on the wire."""

    replica: GuardedConnection
    sent_s: float
    remote_s: float
    request_id: int
    watch: StallWatch

    @property
    def got_on_s(self) -> float:
        """When it last did, or was sent first."""
        return self.watch.got_on_s(self.replica.progress(self.request_id))
