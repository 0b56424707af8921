"""Both ends over loopback, and what is no end."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isthmus.errors import CloudUnavailable, RemoteProtocolError
from simulations.link_recorder.far_end import FarEnd
from simulations.link_recorder.near_end import NearEnd, samples
from simulations.link_recorder.pace import LEAST_BURST_BYTES, RecordingPace

GREETING = b"isthmus link recorder 1\n"
PLENTY = 10**9
Address = tuple[str, int]


@pytest.fixture(scope="module")
def far() -> Iterator[Address]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        thread = threading.Thread(target=FarEnd(listener, lambda line: None).serve)
        thread.start()
        yield listener.getsockname()[:2]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_look_sees_both_ways_and_the_round_trip(far: Address) -> None:
    near = NearEnd(*far)
    near.connect()
    sample = near.look(1.5, PLENTY)
    near.close()
    assert sample.time_s == 1.5
    assert sample.uplink_bps > 1e6
    assert sample.downlink_bps > 1e6
    assert sample.rtt_s is not None
    assert 0 < sample.rtt_s < 1
    assert sample.spent_bytes >= 2 * 16_384


def test_looks_go_on_until_the_time_is_over(far: Address) -> None:
    near = NearEnd(*far)
    seen = list(samples(near, RecordingPace(0.5, 0.1, PLENTY)))
    near.close()
    assert 2 <= len(seen) <= 5
    assert seen[-1].time_s < 1.0


@pytest.mark.parametrize("budget_bytes", [2 * LEAST_BURST_BYTES, 10**6])
def test_a_budget_is_kept_from_the_first_look_on(far: Address, budget_bytes: int) -> None:
    near = NearEnd(*far)
    seen = list(samples(near, RecordingPace(0.5, 0.1, budget_bytes)))
    near.close()
    assert sum(sample.spent_bytes for sample in seen) <= budget_bytes
    assert all(sample.uplink_bps > 0.0 and sample.downlink_bps > 0.0 for sample in seen)


def test_a_link_that_breaks_is_seen_as_nothing_and_comes_back(far: Address) -> None:
    relay = socket.create_server(("127.0.0.1", 0))
    near = NearEnd(*relay.getsockname()[:2])
    relay.close()
    lost = near.look(0.0, PLENTY)
    assert (lost.uplink_bps, lost.downlink_bps, lost.rtt_s) == (0.0, 0.0, None)
    again = NearEnd(*far)
    again.connect()
    again.close()
    assert again.look(1.0, PLENTY).uplink_bps > 0.0
    again.close()


def test_nobody_there_is_told_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = taken.getsockname()[:2]
    with pytest.raises(CloudUnavailable, match="isthmus record --listen"):
        NearEnd(*address).connect()


def test_something_else_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with listener.accept()[0] as connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(RemoteProtocolError, match="no link recorder"):
            NearEnd(*listener.getsockname()[:2]).connect()
        thread.join()


@pytest.mark.parametrize(
    "frame", [b"X" + bytes(8), b"U" + struct.pack("!d", 1e12), b"D" + struct.pack("!d", float("nan"))]
)
def test_a_word_that_is_none_ends_only_that_connection(far: Address, frame: bytes) -> None:
    with socket.create_connection(far, timeout=10) as connection:
        connection.sendall(GREETING + frame)
        assert connection.recv(100, socket.MSG_WAITALL) == GREETING
    test_a_look_sees_both_ways_and_the_round_trip(far)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=len(GREETING), max_size=300).filter(lambda data: not data.startswith(GREETING)))
def test_garbage_is_hung_up_on(far: Address, data: bytes) -> None:
    with socket.create_connection(far, timeout=10) as connection:
        connection.sendall(data)
        with contextlib.suppress(ConnectionResetError):  # by what it had not read when it hung up
            assert connection.recv(100, socket.MSG_WAITALL) == GREETING
