"""The encoded tensors of one request, or pieces of them, on their way from the worker that makes them to the stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nodes.codecs.base import EncodedTensor

__all__ = ["TensorFeed"]

Listener = Callable[[Sequence[EncodedTensor]], None]


class TensorFeed:
    """In the plan's order. Use it from one event loop."""

    def __init__(self, count: int) -> None:
        """count: how many there will be."""
        self._count = count
        self._tensors: list[EncodedTensor] = []
        self._listener: Listener | None = None

    @property
    def tensors(self) -> tuple[EncodedTensor, ...]:
        """Those that are made."""
        return tuple(self._tensors)

    @property
    def to_come(self) -> int:
        """How many are not."""
        return self._count - len(self._tensors)

    def put(self, tensors: Sequence[EncodedTensor]) -> None:
        """The next ones are made."""
        self._tensors += tensors
        if self._listener is not None and tensors:
            self._listener(tensors)

    def follow(self, listener: Listener, have: int) -> None:
        """Hand all but the first `have` to the listener, as they are made; what is made already at once."""
        self._listener = listener
        if self._tensors[have:]:
            listener(self._tensors[have:])

    def leave(self) -> None:
        """Nobody wants the tensors any more."""
        self._listener = None
