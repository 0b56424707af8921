"""The link emulator in a process of its own, for benchmarks: nothing that is measured shares its interpreter lock."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

from simulations.link_emulator import LinkShape
from simulations.link_thread import LinkEmulatorThread

__all__ = ["LinkEmulatorProcess"]

_METHODS = ("relay", "set_shape", "stall", "cut", "restore")


class LinkEmulatorProcess:
    """`LinkEmulatorThread` in a child process: the same methods, and the child's CPU seconds. A context manager.

    The child ends with its parent, whatever ends that. Several threads may ask at once.
    """

    def __init__(self, shape: LinkShape, *, seed: int = 0) -> None:
        context = multiprocessing.get_context("spawn")
        self._commands, theirs = context.Pipe()
        self._turn = threading.Lock()  # an answer is that of the one question that is under way
        self._process = context.Process(target=_serve, args=(theirs, shape, seed), name="link-emulator", daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> LinkEmulatorProcess:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def relay(self, listen_host: str, listen_port: int, target_host: str, target_port: int) -> tuple[str, int]:
        """As `LinkEmulator.relay`."""
        host, port = self._ask("relay", listen_host, listen_port, target_host, target_port)
        return host, port

    def set_shape(self, shape: LinkShape) -> None:
        """As `LinkEmulator.set_shape`; holds when this returns."""
        self._ask("set_shape", shape)

    def stall(self, seconds: float) -> None:
        """As `LinkEmulator.stall`."""
        self._ask("stall", seconds)

    def cut(self) -> None:
        """As `LinkEmulator.cut`."""
        self._ask("cut")

    def restore(self) -> None:
        """As `LinkEmulator.restore`."""
        self._ask("restore")

    def cpu_s(self) -> float:
        """CPU seconds that the child has used."""
        return float(self._ask("cpu_s"))

    def stop(self) -> None:
        """End the child. May be called twice."""
        self._commands.close()
        self._process.join()

    def _ask(self, command: str, *arguments: Any) -> Any:
        with self._turn:
            self._commands.send((command, arguments))
            answer = self._commands.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer


def _serve(commands: Connection, shape: LinkShape, seed: int) -> None:
    # Ctrl-C reaches the whole process group; the parent decides when the link ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with LinkEmulatorThread(shape, seed=seed) as link:
        while True:
            try:
                command, arguments = commands.recv()
            except (EOFError, OSError):
                return
            commands.send(_answer(link, command, arguments))


def _answer(link: LinkEmulatorThread, command: str, arguments: tuple[Any, ...]) -> object:
    if command == "cpu_s":
        return time.process_time()
    try:
        return getattr(link, command)(*arguments) if command in _METHODS else ValueError(command)
    except Exception as error:  # the parent raises it
        return error
