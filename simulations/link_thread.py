"""The link emulator on a thread of its own, for programs that are not asyncio programs.

The thread shares the interpreter's lock with the rest of the process: next to busy Python code the link runs late by up
to the switch interval (5 ms). Where figures depend on the link, `LinkEmulatorProcess` gives it a process.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from simulations.link_emulator import LinkEmulator, LinkShape

__all__ = ["LinkEmulatorThread"]

_Result = TypeVar("_Result")


class LinkEmulatorThread:
    """`LinkEmulator` with plain methods that any thread may call. Also a context manager: entered is started.

    It can be started again after `stop`, with the shape last set and without relays.
    """

    def __init__(self, shape: LinkShape, *, seed: int = 0) -> None:
        self._shape = shape
        self._seed = seed
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._emulator: LinkEmulator | None = None

    def __enter__(self) -> LinkEmulatorThread:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def shape(self) -> LinkShape:
        """The shape last set."""
        return self._shape

    def start(self) -> None:
        """Run the link. Does nothing while it runs."""
        with self._lock:
            if self._loop is not None:
                return
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="link-emulator", daemon=True)
            self._thread.start()
            self._emulator = self._wait_for(self._make())

    def stop(self) -> None:
        """Close every relay and connection, and end the thread. Does nothing while stopped."""
        with self._lock:
            if self._loop is None or self._thread is None or self._emulator is None:
                return
            self._wait_for(self._emulator.close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._loop = self._thread = self._emulator = None

    def relay(self, listen_host: str, listen_port: int, target_host: str, target_port: int) -> tuple[str, int]:
        """As `LinkEmulator.relay`. Starts the link where it does not run."""
        self.start()
        with self._lock:
            emulator = self._running()
            return self._wait_for(emulator.relay(listen_host, listen_port, target_host, target_port))

    def set_shape(self, shape: LinkShape) -> None:
        """As `LinkEmulator.set_shape`; kept for the next start while stopped."""
        self._shape = shape
        if self._emulator is not None:
            self._call(lambda emulator: emulator.set_shape(shape))

    def stall(self, seconds: float) -> None:
        """As `LinkEmulator.stall`."""
        self._call(lambda emulator: emulator.stall(seconds))

    def cut(self) -> None:
        """As `LinkEmulator.cut`."""
        self._call(lambda emulator: emulator.cut())

    def restore(self) -> None:
        """As `LinkEmulator.restore`."""
        self._call(lambda emulator: emulator.restore())

    async def _make(self) -> LinkEmulator:
        return LinkEmulator(self._shape, seed=self._seed)

    def _running(self) -> LinkEmulator:
        if self._emulator is None:
            raise RuntimeError("the link emulator is not running: call start() first")
        return self._emulator

    def _call(self, action: Callable[[LinkEmulator], None]) -> None:
        """Do it on the link's thread, and return when it is done: what follows sees its effect."""

        async def act(emulator: LinkEmulator) -> None:
            action(emulator)

        with self._lock:
            self._wait_for(act(self._running()))

    def _wait_for(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        if self._loop is None:
            raise RuntimeError("the link emulator is not running: call start() first")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
