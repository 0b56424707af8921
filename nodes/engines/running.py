"""One run of a segment, whatever executes it: slowed where that is emulated, its failure told as ours."""

from __future__ import annotations

from collections.abc import Callable

import torch

from isthmus.errors import ComputeFailed, InvalidConfiguration, IsthmusError
from nodes.engines.slowdown import run_slowed

__all__ = ["check_threads", "run_segment"]

Tensors = tuple[torch.Tensor, ...]


def run_segment(slowdown: float, run: Callable[..., Tensors], tensors: Tensors) -> Tensors:
    """`run(*tensors)`. Raises ComputeFailed in one line for anything that is not an IsthmusError already."""
    try:
        return run_slowed(slowdown, run, *tensors)
    except IsthmusError:
        raise
    except Exception as error:
        first_line = str(error).partition("\n")[0]
        raise ComputeFailed(f"a segment raised {type(error).__name__}: {first_line}") from error


def check_threads(threads: int) -> int:
    """`threads` itself. Raises InvalidConfiguration for none."""
    if threads < 1:
        raise InvalidConfiguration("threads", "must be 1 or more", value=threads)
    return threads
