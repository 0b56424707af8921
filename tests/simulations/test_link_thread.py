"""The emulator on a thread and in a process, used from plain code."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from isthmus.errors import PortInUse
from simulations.link_emulator import LinkShape
from simulations.link_process import LinkEmulatorProcess
from simulations.link_thread import LinkEmulatorThread

SHAPE = LinkShape(1e9, 1e9, 0.001)
Link = LinkEmulatorThread | LinkEmulatorProcess


def exchange(link: Link) -> bytes:
    """Four bytes through the link."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = link.relay("127.0.0.1", 0, *listener.getsockname()[:2])
        with socket.create_connection(address, timeout=5) as sender, listener.accept()[0] as receiver:
            sender.sendall(b"ping")
            return receiver.recv(4, socket.MSG_WAITALL)


def test_a_thread_relays() -> None:
    with LinkEmulatorThread(SHAPE) as link:
        assert exchange(link) == b"ping"


def test_start_and_stop_may_be_called_twice() -> None:
    link = LinkEmulatorThread(SHAPE)
    link.start()
    link.start()
    link.stop()
    link.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "link-emulator"]


def test_a_stopped_thread_can_be_started_again() -> None:
    with LinkEmulatorThread(SHAPE) as link:
        pass
    with link:
        assert exchange(link) == b"ping"


def test_a_shape_set_while_stopped_holds_after_the_start() -> None:
    link = LinkEmulatorThread(SHAPE)
    link.set_shape(LinkShape(5e6, 5e6, 0.0))
    with link:
        assert link.shape == LinkShape(5e6, 5e6, 0.0)


def test_errors_reach_the_calling_thread() -> None:
    with LinkEmulatorThread(SHAPE) as link, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse):
            link.relay("127.0.0.1", port, "127.0.0.1", port)


def test_steering_a_stopped_link_says_so() -> None:
    with pytest.raises(RuntimeError, match="start"):
        LinkEmulatorThread(SHAPE).cut()


def test_a_process_relays_and_tells_its_cpu_time() -> None:
    with LinkEmulatorProcess(SHAPE) as link:
        assert exchange(link) == b"ping"
        assert link.cpu_s() > 0


def test_several_threads_may_ask_a_process_at_once() -> None:
    together = threading.Barrier(8)

    def asked(_: int) -> tuple[str, int]:
        together.wait(10)
        return link.relay("127.0.0.1", 0, "127.0.0.1", 9)

    with LinkEmulatorProcess(SHAPE) as link, ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            addresses = list(pool.map(asked, range(8), timeout=20))
            assert len({port for _, port in addresses}) == 8
