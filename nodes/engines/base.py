"""What an engine promises: it turns a segment into a runner that takes and returns tensors on the host."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch

__all__ = ["Engine", "Runnable", "Runner"]

Runnable = Callable[..., "tuple[torch.Tensor, ...]"]
"""A `Segment` of a model: it says which slice of what it is. Eager also takes any module or function on tensors."""


class Runner(Protocol):
    """A loaded segment. Blocking: call it in a `ComputePool`. Safe to call from several threads."""

    def __call__(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The segment's outputs on the CPU, complete (no device work is left behind).

        Raises ComputeFailed when the segment raises, with its error as the cause.
        """


class Engine(Protocol):
    """Executes segments on one device. Every engine takes and makes the same boundary tensors."""

    @property
    def name(self) -> str:
        """ "eager", "onnxruntime", ...: what plans and profiles call it."""

    @property
    def device(self) -> str:
        """ "cpu" or "cuda"."""

    @property
    def threads(self) -> int:
        """The thread budget that its pool must give it."""

    @property
    def slowdown(self) -> float:
        """1 for real; above, an emulated slower device (demos and tests): see `nodes.engines.slowdown`."""

    @property
    def held_bytes(self) -> int:
        """Copies of weights that it holds besides the models' own: on a GPU, or laid out for its kernels."""

    def prepare(self, segments: Iterable[Runnable]) -> float:
        """Compile what `load` would compile first; blocking, on whatever thread, without a `ComputePool`'s budget.

        Returns the seconds that compiling them took, now or, where the code was kept, when it was made: 0 for an engine
        that compiles nothing. Raises what `load` does.
        """

    def load(self, segment: Runnable) -> Runner:
        """A runner of `segment`, in whatever form this engine makes of the model's slice.

        Raises InvalidModel naming the op that it cannot run; it never runs a part in another engine.
        """
