"""The near end of a recorder: looks at the link now and then, both ways, and tells what it saw."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from isthmus.addresses import format_address
from isthmus.errors import CloudUnavailable, RemoteProtocolError
from simulations.link_recorder.pace import LEAST_BURST_BYTES, RecordingPace, burst_bytes, next_burst_bytes
from simulations.link_recorder.recorder_wire import ASK, BURST, ECHO, SEEN, RecorderWire

__all__ = ["LinkSample", "NearEnd", "samples"]

# The second least of so many: the least is a lucky one where delays jitter, the others may have waited for a scheduler.
_ECHOES, _TAKEN = 5, 1
_CONNECT_S = 5.0
# Bursts are meant for a fraction of a second. One that is not over by then counts as nothing: fifty times slower.
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class LinkSample:
    """What a look saw. time_s: since the recording began. Both rates are 0 and rtt_s is None where nothing came back.
    spent_bytes: of bursts, both ways."""

    time_s: float
    uplink_bps: float
    downlink_bps: float
    rtt_s: float | None
    spent_bytes: int


class NearEnd:
    """One link to a far end; connects again where the connection broke."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._wire: RecorderWire | None = None
        self._believed_bps = {"up": 0.0, "down": 0.0}
        self._spent_bytes = 0

    def connect(self) -> None:
        """Raises CloudUnavailable where no far end answers, RemoteProtocolError where something else does."""
        self._wire = self._connected()

    def look(self, time_s: float, most_bytes: int) -> LinkSample:
        """Both ways, one after the other, and the round trip before them, while the link is idle.

        most_bytes: of bursts; the way up has half of it, so that the way down is seen too.
        """
        self._spent_bytes = 0
        try:
            wire = self._wire or self._connected()
            self._wire = wire
            rtt_s = sorted(_echo_s(wire) for _ in range(_ECHOES))[_TAKEN]
            uplink_bps = self._measure("up", rtt_s, most_bytes // 2, lambda size: _burst_up(wire, size))
            left_bytes = most_bytes - self._spent_bytes
            downlink_bps = self._measure("down", rtt_s, left_bytes, lambda size: _burst_down(wire, size))
        except (OSError, CloudUnavailable, RemoteProtocolError):
            self.close()
            self._believed_bps = {"up": 0.0, "down": 0.0}
            return LinkSample(time_s, 0.0, 0.0, None, self._spent_bytes)
        return LinkSample(time_s, uplink_bps, downlink_bps, rtt_s, self._spent_bytes)

    def close(self) -> None:
        """Let the connection go. May be called twice."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def _measure(self, way: str, rtt_s: float, left_bytes: int, burst: Callable[[int], float]) -> float:
        size_bytes: int | None = min(burst_bytes(self._believed_bps[way], rtt_s), left_bytes)
        bps = 0.0
        while size_bytes is not None:
            self._spent_bytes += size_bytes
            left_bytes -= size_bytes
            bps = burst(size_bytes)
            size_bytes = next_burst_bytes(size_bytes, bps, rtt_s, left_bytes)
        self._believed_bps[way] = bps
        return bps

    def _connected(self) -> RecorderWire:
        address = format_address(self._host, self._port)
        try:
            wire = RecorderWire(socket.create_connection((self._host, self._port), timeout=_CONNECT_S))
        except OSError as error:
            raise CloudUnavailable(
                f"no link recorder answers at {address} ({error}); run `isthmus record --listen` there"
            ) from error
        try:
            wire.greet(time.monotonic() + _CONNECT_S)
        except (OSError, RemoteProtocolError) as error:
            wire.close()
            raise RemoteProtocolError(
                f"what answers at {address} is no link recorder ({error}); run `isthmus record --listen` there"
            ) from error
        return wire


def samples(near: NearEnd, pace: RecordingPace) -> Iterator[LinkSample]:
    """Looks until the time or the budget is over. Times are this machine's; only durations cross the link."""
    start_s, spent_bytes = time.monotonic(), 0
    due_s: float | None = 0.0
    while due_s is not None:
        time.sleep(max(0.0, start_s + due_s - time.monotonic()))
        sample = near.look(time.monotonic() - start_s, pace.budget_bytes - spent_bytes)
        spent_bytes += sample.spent_bytes
        yield sample
        look_bytes = max(sample.spent_bytes, 2 * LEAST_BURST_BYTES)
        due_s = pace.next_look_s(sample.time_s, look_bytes, spent_bytes)


def _echo_s(wire: RecorderWire) -> float:
    began_s, until_s = time.perf_counter(), time.monotonic() + _PATIENCE_S
    wire.say(ECHO, began_s, until_s)
    wire.expect(ECHO, until_s)
    return time.perf_counter() - began_s


def _burst_up(wire: RecorderWire, size_bytes: int) -> float:
    until_s = time.monotonic() + _PATIENCE_S
    wire.send_burst(size_bytes, until_s)
    seen_bps = wire.expect(SEEN, until_s)
    if not (math.isfinite(seen_bps) and seen_bps >= 0.0):
        raise RemoteProtocolError(f"a link recorder saw {seen_bps:g} bit/s")
    return seen_bps


def _burst_down(wire: RecorderWire, size_bytes: int) -> float:
    until_s = time.monotonic() + _PATIENCE_S
    wire.say(ASK, size_bytes, until_s)
    return wire.receive_burst(wire.expect(BURST, until_s), until_s)
