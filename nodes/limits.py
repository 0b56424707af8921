"""What clients and peers may make a node hold, and the words in which more is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from isthmus.errors import Overloaded, TooLarge

__all__ = ["CLOUD_LIMITS", "EDGE_LIMITS", "LARGEST_GRPC_MESSAGE_BYTES", "NodeLimits", "check_size"]

LARGEST_GRPC_MESSAGE_BYTES = (1 << 31) - 1
"""Lengths of gRPC and protobuf messages are signed 32-bit numbers in every implementation."""


@dataclass(frozen=True, slots=True)
class NodeLimits:
    """Bounds of one node. side: "edge" or "cloud", under which the configuration has them.

    message_bytes: of one message of a client, either way (edge); encoded bytes of all tensors of one request or
    response on a segment stream (cloud). tensor_bytes: of one tensor, decoded. queue: requests accepted and not
    answered. connections: clients, or edges, served at once.
    """

    side: str
    message_bytes: int
    tensor_bytes: int
    queue: int
    connections: int

    def check_message(self, what: str, size_bytes: int) -> None:
        """Raises TooLarge."""
        if size_bytes > self.message_bytes:
            self._refuse("message", self.message_bytes, what, size_bytes)

    def check_tensor(self, name: str, size_bytes: int) -> None:
        """size_bytes: decoded. Raises TooLarge."""
        if size_bytes > self.tensor_bytes:
            self._refuse("tensor", self.tensor_bytes, f"tensor {name}", size_bytes)

    def check_queue(self, waiting: int, retry_after_s: Callable[[], float]) -> None:
        """waiting: requests already accepted. retry_after_s: asked only where it is refused. Raises Overloaded."""
        if waiting >= self.queue:
            raise Overloaded(
                f"{self.side}.limits.queue: {waiting} requests wait on this {self.side}, {self.queue} may; try again "
                "later, or raise it",
                retry_after_s=retry_after_s(),
            )

    def check_connections(self, served: int) -> None:
        """served: without the one that comes. Raises Overloaded."""
        if served >= self.connections:
            raise Overloaded(
                f"{self.side}.limits.connections: {served} are served, {self.connections} may be; try again later, "
                "or raise it"
            )

    def _refuse(self, key: str, limit_bytes: int, what: str, size_bytes: int) -> None:
        check_size(f"{self.side}.limits.{key}", limit_bytes, what, size_bytes)


def check_size(field: str, limit_bytes: int, what: str, size_bytes: int) -> None:
    """Raises TooLarge where `what` takes more than `field` of the configuration lets through."""
    if size_bytes > limit_bytes:
        remedy = f"send less, or raise {field}"
        raise TooLarge(field, f"{what} may take {limit_bytes} bytes", value=size_bytes, remedy=remedy)


EDGE_LIMITS = NodeLimits("edge", 64 << 20, 256 << 20, 128, 1024)
CLOUD_LIMITS = NodeLimits("cloud", 1 << 30, 256 << 20, 256, 1024)
