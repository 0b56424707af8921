"""The far end of a recorder: answers near ends, and keeps nothing."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

from isthmus.errors import RemoteProtocolError
from simulations.link_recorder.recorder_wire import ASK, BURST, ECHO, SEEN, RecorderWire, checked_size

__all__ = ["FarEnd"]

# Near ends measure each other where several look at once; more than these are turned away.
_MOST_NEAR_ENDS = 8
# A near end looks every few seconds or minutes; one that was cut off never closes its connection.
_IDLE_S = 900.0
_BURST_PATIENCE_S = 60.0


class FarEnd:
    """listener: bound and listening. said: gets one line for each near end that comes or goes."""

    def __init__(self, listener: socket.socket, said: Callable[[str], None]) -> None:
        self._listener, self._said = listener, said
        self._room = threading.Semaphore(_MOST_NEAR_ENDS)

    def serve(self) -> None:
        """Answer near ends, each in a thread, until the listener is shut down."""
        while True:
            try:
                connection, (host, port, *_) = self._listener.accept()
            except ConnectionAbortedError:
                continue
            except OSError:
                return
            if not self._room.acquire(blocking=False):
                connection.close()
                continue
            # A daemon: a near end that says nothing does not keep the program.
            threading.Thread(target=self._answer, args=(connection, f"{host}:{port}"), daemon=True).start()

    def _answer(self, connection: socket.socket, name: str) -> None:
        try:
            wire = RecorderWire(connection)
            wire.greet(time.monotonic() + _BURST_PATIENCE_S)
            self._said(f"{name} records")
            while True:
                _answer_one(wire)
        except (OSError, RemoteProtocolError) as error:
            self._said(f"{name} is gone: {error}")
        finally:
            connection.close()
            self._room.release()


def _answer_one(wire: RecorderWire) -> None:
    letter, number = wire.hear(time.monotonic() + _IDLE_S)
    until_s = time.monotonic() + _BURST_PATIENCE_S
    if letter == ECHO:
        wire.say(ECHO, number, until_s)
    elif letter == BURST:
        wire.say(SEEN, wire.receive_burst(number, until_s), until_s)
    elif letter == ASK:
        wire.send_burst(checked_size(number), until_s)
    else:
        raise RemoteProtocolError(f"it said {letter!r}, which is no word of a link recorder")
