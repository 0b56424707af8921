"""Keeps the sessions that were used last, within a bound on the weights that they hold."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from partitioner.onnx_session import OnnxSession

__all__ = ["SessionCache", "SessionKey"]


@dataclass(frozen=True, slots=True)
class SessionKey:
    """Which slice of which model."""

    model_digest: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class SessionCache:
    """Thread-safe. The session asked for last always stays, however large it is."""

    def __init__(self, most_bytes: int) -> None:
        """most_bytes: of weights, summed over all sessions."""
        self._most_bytes = most_bytes
        self._sessions: OrderedDict[SessionKey, OnnxSession] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def held_bytes(self) -> int:
        """Weights that the kept sessions hold."""
        with self._lock:
            return sum(session.weight_bytes for session in self._sessions.values())

    def get(self, key: SessionKey, make: Callable[[], OnnxSession]) -> OnnxSession:
        """The session of `key`, made by `make` where there is none. One that goes finishes its running calls first."""
        with self._lock:
            found = self._sessions.get(key)
            if found is not None:
                self._sessions.move_to_end(key)
                return found
        made = make()  # outside the lock: it takes long, and others need not wait
        with self._lock:
            self._sessions[key] = made
            self._sessions.move_to_end(key)
            self._shrink()
        return made

    def _shrink(self) -> None:
        held = sum(session.weight_bytes for session in self._sessions.values())
        while held > self._most_bytes and len(self._sessions) > 1:
            _, gone = self._sessions.popitem(last=False)
            held -= gone.weight_bytes
