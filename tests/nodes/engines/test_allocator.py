"""The allocator's state is what a profile says it is."""

from __future__ import annotations

from nodes.engines.allocator import allocator_state, keep_freed_memory


def test_the_state_follows_the_setting() -> None:
    took_effect = keep_freed_memory()
    assert allocator_state() == ("glibc-tuned" if took_effect else "default")


def test_setting_it_twice_is_harmless() -> None:
    assert keep_freed_memory() == keep_freed_memory()
