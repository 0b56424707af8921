"""A call of Ray is waited for as long as the cluster's head is there, and no longer."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from isthmus.errors import HostLost
from scheduler.serve.head_watch import while_head_answers


@contextlib.contextmanager
def hanging() -> Iterator[threading.Event]:
    """What a call waits for that does not return by itself."""
    over = threading.Event()
    try:
        yield over
    finally:
        over.set()


def gone() -> str:
    """Where nobody listens any more."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


async def test_a_call_returns_what_it_returns_wherever_the_head_is() -> None:
    assert await while_head_answers(gone(), lambda: 3) == 3


async def test_a_call_raises_what_it_raises() -> None:
    with pytest.raises(ZeroDivisionError):
        await while_head_answers(gone(), lambda: 1 // 0)


async def test_a_call_that_hangs_is_given_up_when_the_head_is_gone() -> None:
    with hanging() as over, pytest.raises(HostLost, match=r"head at 127\.0\.0\.1:\d+ does not answer"):
        await while_head_answers(gone(), over.wait, silent_s=0.5)


@pytest.mark.parametrize("known", [True, False])
async def test_a_call_is_waited_for_while_the_head_is_there_or_is_not_known_yet(known: bool) -> None:
    with hanging() as over, socket.create_server(("127.0.0.1", 0)) as head:
        address = f"127.0.0.1:{head.getsockname()[1]}" if known else ""
        waiting = asyncio.create_task(while_head_answers(address, over.wait, silent_s=0.5))
        assert not (await asyncio.wait([waiting], timeout=2.5))[0]
        over.set()
        assert await waiting


async def test_a_call_that_hangs_although_the_head_is_there_has_its_time() -> None:
    with hanging() as over, socket.create_server(("127.0.0.1", 0)) as head, pytest.raises(HostLost, match="within 2 s"):
        await while_head_answers(f"127.0.0.1:{head.getsockname()[1]}", over.wait, most_s=2, silent_s=1)
