"""How a peer's program tells the benchmark where it serves, and that it ends with it."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Mapping

__all__ = ["end_with_the_benchmark", "free_port", "say_ready"]


def end_with_the_benchmark() -> None:
    """Kill this process and its group, of which it is the leader, once standard input ends: whoever started it is gone
    without having ended it."""

    def wait() -> None:
        while os.read(0, 4096):  # not sys.stdin: a fork closes that, and would wait for the lock that reading holds
            pass
        os.killpg(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, name="end-with-the-benchmark", daemon=True).start()


def say_ready(endpoints: Mapping[str, tuple[str, int]], **facts: object) -> None:
    """One line of JSON on standard output. facts: whatever else the benchmark reports."""
    print(json.dumps({"ready": endpoints, **facts}), flush=True)


def free_port() -> int:
    """For servers that take no port 0: one that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
