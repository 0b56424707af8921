"""What a node may be made to hold, as a configuration says it: `limits:` of each side."""

from __future__ import annotations

from pydantic import Field

from isthmus.configuration_fields import Section, Size
from nodes.byte_budget import MOST_CLIENT_BYTES, MOST_HELD_BYTES
from nodes.limits import CLOUD_LIMITS, EDGE_LIMITS, LARGEST_GRPC_MESSAGE_BYTES, NodeLimits

__all__ = ["CloudLimitsConfiguration", "EdgeLimitsConfiguration"]


class EdgeLimitsConfiguration(Section):
    """What clients may make the edge hold; more is refused with RESOURCE_EXHAUSTED, naming the key.

    message: one message of a client, either way. tensor: one tensor, decoded. queue: requests without an answer yet.
    connections: clients with a call under way. memory: all requests, with their answers until those have left; one of
    the largest always fits.
    """

    message: Size = Field(default=EDGE_LIMITS.message_bytes, ge=1, le=LARGEST_GRPC_MESSAGE_BYTES)
    tensor: Size = Field(default=EDGE_LIMITS.tensor_bytes, ge=1)
    queue: int = Field(default=EDGE_LIMITS.queue, ge=1)
    connections: int = Field(default=EDGE_LIMITS.connections, ge=1)
    memory: Size = Field(default=MOST_CLIENT_BYTES, ge=1)

    @property
    def of_node(self) -> NodeLimits:
        """As a node takes it."""
        return NodeLimits("edge", self.message, self.tensor, self.queue, self.connections)


class CloudLimitsConfiguration(Section):
    """What edges may make a replica hold; a request beyond it ends on its edge, or in RESOURCE_EXHAUSTED.

    message: encoded tensors of one request or answer. tensor: one tensor, decoded. queue: requests without an answer
    yet. connections: edges with a stream. memory: encoded tensors of all requests, from their announcement on, and of
    all answers until they have left.
    """

    message: Size = Field(default=CLOUD_LIMITS.message_bytes, ge=1)
    tensor: Size = Field(default=CLOUD_LIMITS.tensor_bytes, ge=1)
    queue: int = Field(default=CLOUD_LIMITS.queue, ge=1)
    connections: int = Field(default=CLOUD_LIMITS.connections, ge=1)
    memory: Size = Field(default=MOST_HELD_BYTES, ge=1)

    @property
    def of_node(self) -> NodeLimits:
        """As a node takes it."""
        return NodeLimits("cloud", self.message, self.tensor, self.queue, self.connections)
