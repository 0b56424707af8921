"""What a node holds at this moment: where one of these grows while the work does not, something is not given back."""

from __future__ import annotations

import asyncio
import os
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["NodeStatus", "node_status"]

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """Of a process that hosts one node.

    requests: accepted or arriving, without an answer yet. streams: connections between edge and cloud. held_bytes: of
    boundary tensors: on an edge those that are kept until their answers are in, in the cloud those
    that requests have announced, and answers that have not left.
    tasks: of the event loop. resident_bytes, descriptors: None where the system has no /proc.
    """

    requests: int
    streams: int
    held_bytes: int
    tasks: int
    threads: int
    resident_bytes: int | None
    descriptors: int | None

    def to_dict(self) -> dict[str, int | None]:
        """By name."""
        return asdict(self)


def node_status(requests: int, streams: int, held_bytes: int) -> NodeStatus:
    """With what the process knows of itself. Call it on the node's event loop."""
    return NodeStatus(
        requests,
        streams,
        held_bytes,
        tasks=len(asyncio.all_tasks()),
        threads=threading.active_count(),
        resident_bytes=_resident_bytes(),
        descriptors=_descriptors(),
    )


def _resident_bytes() -> int | None:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
    except OSError:
        return None


def _descriptors() -> int | None:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return None
