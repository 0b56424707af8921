"""Long work lets others go first."""

from __future__ import annotations

import asyncio
import os
import sys
import threading

import pytest

from nodes.background import give_way, run_apart


def priority() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def lowered() -> int:
    give_way()
    return priority()


@pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities of their own on Linux only")
def test_a_thread_that_gives_way_lowers_its_own_priority_and_no_other() -> None:
    before = priority()
    assert asyncio.run(run_apart(lowered)) > before
    assert priority() == before
