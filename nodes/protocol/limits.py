"""What a peer may make this side hold: bounds that a hostile stream runs into before memory does."""

from __future__ import annotations

from dataclasses import dataclass

from isthmus.errors import TooLarge
from nodes.limits import check_size

__all__ = ["DEFAULT_LIMITS", "MEMORY_FIELD", "StreamLimits"]

MEMORY_FIELD = "cloud.limits.memory"
"""What the configuration calls the bound on all streams of a replica together."""


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Bounds on one stream.

    message_bytes: encoded bytes of all tensors of one request or response. field: what the configuration calls that.
    tensors: tensors in one message. open_messages: messages under way at once.
    """

    message_bytes: int = 1 << 30
    field: str = "cloud.limits.message"
    tensors: int = 256
    open_messages: int = 1024

    def check(self, tensors: int, size_bytes: int) -> None:
        """Of one message, either way: how many tensors, of how many bytes as they are encoded. Raises TooLarge."""
        if tensors > self.tensors:
            raise TooLarge("tensors", f"at most {self.tensors} in a message", value=tensors)
        check_size(self.field, self.message_bytes, "encoded tensors of one message", size_bytes)


DEFAULT_LIMITS = StreamLimits()
