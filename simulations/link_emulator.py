"""A shaped network link between two programs on one machine: a TCP relay with bandwidth, delay, jitter, stalls, cuts.

Programs connect to a relay's listening address instead of to the target; all relays of one emulator share one link, as
the devices behind one access line do. The shape holds for bytes from the moment they reach the relay's socket. What it
does not show: the round trip of TCP's own handshake (a connection is accepted at once), slow start, and loss.
"""

from __future__ import annotations

import asyncio
import errno
import math
from collections.abc import Iterable
from dataclasses import dataclass

import structlog

from isthmus.errors import InvalidQuantity, PortInUse
from isthmus.telemetry import get_logger
from simulations.fine_timer import FineTimer
from simulations.relay_end import RelayEnd
from simulations.shaped_direction import DirectionShape, Flow, ShapedDirection

__all__ = ["LinkEmulator", "LinkShape"]

_BACKLOG = 256


@dataclass(frozen=True, slots=True)
class LinkShape:
    """What a link does: bits per second each way, seconds there and back (half each way), and jitter in seconds.

    Uplink is from the program that connects to the target. Each quantum's delay is off by up to `jitter_s` either way,
    evenly distributed, in order. Raises InvalidQuantity where a rate is not positive or a time is negative.
    """

    uplink_bps: float
    downlink_bps: float
    rtt_s: float
    jitter_s: float = 0.0

    def __post_init__(self) -> None:
        for name in ("uplink_bps", "downlink_bps", "rtt_s", "jitter_s"):
            value = getattr(self, name)
            if not math.isfinite(value) or value < 0 or (value == 0 and name.endswith("_bps")):
                kind = "a rate above zero" if name.endswith("_bps") else "a time of zero or more"
                raise InvalidQuantity(f"link {name}", f"must be {kind}", value=value)

    @property
    def uplink(self) -> DirectionShape:
        """The way to the target."""
        return DirectionShape(self.uplink_bps, self.rtt_s / 2, self.jitter_s)

    @property
    def downlink(self) -> DirectionShape:
        """The way back."""
        return DirectionShape(self.downlink_bps, self.rtt_s / 2, self.jitter_s)


class LinkEmulator:
    """Relays TCP through one shaped link. Made and used inside one running event loop.

    `seed` makes the jitter repeatable. Connection errors end that connection and nothing else.
    """

    def __init__(self, shape: LinkShape, *, seed: int = 0) -> None:
        self._loop = asyncio.get_running_loop()
        self._shape = shape
        self._uplink = ShapedDirection(shape.uplink, seed)
        self._downlink = ShapedDirection(shape.downlink, seed + 1)
        self._receivers: dict[Flow, RelayEnd] = {}
        self._open_ends: set[RelayEnd] = set()
        self._dials: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []
        self._cut = False
        self._timer = FineTimer(self._tick)
        self._log: structlog.stdlib.BoundLogger = get_logger("link")

    @property
    def shape(self) -> LinkShape:
        """The shape that holds now."""
        return self._shape

    async def relay(self, listen_host: str, listen_port: int, target_host: str, target_port: int) -> tuple[str, int]:
        """Listen there and join every connection to the target through the link; port 0 takes a free one.

        Returns the address that listens. The target need not be there yet. Raises PortInUse.
        """
        try:
            server = await self._loop.create_server(
                lambda: self._accept(target_host, target_port), listen_host, listen_port, backlog=_BACKLOG
            )
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise PortInUse(f"{listen_host}:{listen_port} is taken; choose another port to listen on") from error
        self._servers.append(server)
        host, port = server.sockets[0].getsockname()[:2]
        return host, port

    def set_shape(self, shape: LinkShape) -> None:
        """Bytes that reach the line from now on see this shape; what is in the pipe arrives as it would have."""
        self._shape = shape
        now_s = self.now_s()
        self._uplink.set_shape(shape.uplink, now_s)
        self._downlink.set_shape(shape.downlink, now_s)
        self._tick()

    def stall(self, seconds: float) -> None:
        """Nothing moves either way for so long; connections stay open. Stalls that overlap do not add up."""
        if not math.isfinite(seconds) or seconds < 0:
            raise InvalidQuantity("stall", "must be a time of zero or more", value=seconds)
        self._tick()
        for direction in (self._uplink, self._downlink):
            direction.stall(seconds, self.now_s())

    def cut(self) -> None:
        """Break every connection, lose what is under way, and reset new connections until `restore`.

        The relays keep their ports, so that nobody else can take them in between.
        """
        self._cut = True
        for dial in self._dials:
            dial.cancel()
        for end in tuple(self._open_ends):
            end.reset()
        for flow in tuple(self._receivers):
            self._forget(flow)

    def restore(self) -> None:
        """Let new connections through again."""
        self._cut = False

    async def close(self) -> None:
        """Stop listening and break every connection. May be called twice."""
        for server in self._servers:
            server.close()
        self.cut()
        self._timer.close()
        await asyncio.gather(*self._dials, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()

    # What the ends of connections ask of the line (relay_end.Line).

    def now_s(self) -> float:
        """The event loop's clock."""
        return self._loop.time()

    def wake(self) -> None:
        """Set the timer to the next event of either direction."""
        events = [event for event in (self._uplink.next_event_s, self._downlink.next_event_s) if event is not None]
        if events:
            self._timer.arm(min(events))

    def opened(self, end: RelayEnd) -> None:
        """Keep `end`, or break it at once while the link is cut."""
        self._open_ends.add(end)
        if self._cut:
            end.reset()

    def closed(self, end: RelayEnd) -> None:
        """Forget `end` and what was on the way to it."""
        self._open_ends.discard(end)
        if end.peer is not None:
            self._forget(end.peer.flow)

    def _accept(self, target_host: str, target_port: int) -> RelayEnd:
        client, target = RelayEnd(self, self._uplink), RelayEnd(self, self._downlink)
        client.join(target)
        self._receivers[client.flow] = target
        self._receivers[target.flow] = client
        dial = self._loop.create_task(self._dial(client, target, target_host, target_port))
        self._dials.add(dial)
        dial.add_done_callback(self._dials.discard)
        return client

    async def _dial(self, client: RelayEnd, target: RelayEnd, host: str, port: int) -> None:
        if self._cut:
            self._lose(client, target)
            return
        try:
            await self._loop.create_connection(lambda: target, host, port)
        except OSError as error:
            self._log.warning("target_unreachable", target=f"{host}:{port}", error=str(error))
            client.reset()
            self._lose(client, target)

    def _lose(self, *ends: RelayEnd) -> None:
        """A pair that never came to be."""
        for end in ends:
            self._forget(end.flow)

    def _forget(self, flow: Flow) -> None:
        if self._receivers.pop(flow, None) is not None:
            self._uplink.drop(flow)
            self._downlink.drop(flow)

    def _tick(self) -> None:
        now_s = self.now_s()
        for direction in (self._uplink, self._downlink):
            self._deliver(direction, now_s)
        for end in self._open_ends:
            if end.paused:
                end.pace_reading()
        self.wake()

    def _deliver(self, direction: ShapedDirection, now_s: float) -> None:
        """Hand over what is due, one write a flow: several quanta are due together when this process ran late."""
        due: dict[Flow, list[memoryview]] = {}
        ended = set()
        for delivery in direction.advance(now_s):
            due.setdefault(delivery.flow, []).extend(delivery.pieces)
            if delivery.ends:
                ended.add(delivery.flow)
        self._hand_over(due, ended)

    def _hand_over(self, due: dict[Flow, list[memoryview]], ended: Iterable[Flow]) -> None:
        for flow, pieces in due.items():
            receiver = self._receivers.get(flow)
            if receiver is not None:
                receiver.deliver(pieces, flow in ended)
        for flow in ended:
            self._receivers.pop(flow, None)
