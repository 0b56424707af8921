"""Torch on one thread for a while: what is short is timed so, and hardly slower."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

__all__ = ["one_thread"]


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """For the calling thread. Several threads of one op wait for the last of them, which beside other load is held up:
    coding then took 10 to 60 times as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
