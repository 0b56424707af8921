"""What counts as getting on while a request waits for its answer."""

from __future__ import annotations

from nodes.protocol.progress import Progress
from nodes.stall_watch import StallWatch


def test_what_moved_before_it_was_sent_does_not() -> None:
    assert StallWatch(10.0).got_on_s(Progress(5000, 9.0)) == 10.0


def test_whatever_moves_does() -> None:
    watched = StallWatch(10.0)
    assert [watched.got_on_s(Progress(moved, 10.0 + moved)) for moved in (0, 1, 40, 100)] == [10.0, 11.0, 50.0, 110.0]


def test_what_was_seen_before_it_ended_is_remembered() -> None:
    watched = StallWatch(10.0)
    watched.got_on_s(Progress(40, 12.0))
    assert watched.got_on_s(Progress(0, 0.0)) == 12.0
