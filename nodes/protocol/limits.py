"""What a peer may make this side hold: bounds that a hostile stream runs into before memory does."""

from __future__ import annotations

from dataclasses import dataclass

from isthmus.errors import TooLarge
from nodes.limits import check_size

__all__ = [
    "DEFAULT_LIMITS", "MEMORY_FIELD", "MOST_DIGEST_CHARACTERS", "MOST_OFFER_BYTES", "MOST_OFFER_PARTS", "StreamLimits",
]  # fmt: skip

MEMORY_FIELD = "cloud.limits.memory"
"""What the configuration calls the bound on all streams of a replica together."""

MOST_DIGEST_CHARACTERS = 128
"""Of a wire digest, which answers and errors repeat: twice those of a SHA-256."""

MOST_OFFER_BYTES = 16 << 20
"""Of the offer of one plan: four of the longest tables of a codec (4 MiB each, `nodes/codecs/transform_table.py`)."""

MOST_OFFER_PARTS = 1 << 16
"""Of ops, codecs and their parameters in one offer: each takes some 100 bytes here, however few on the wire."""


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
