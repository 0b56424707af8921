"""The end of applications, and of Ray: each drains first."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

__all__ = ["DELETE_TIMEOUT_S", "delete_application", "stop_ray"]

POLL_S = 0.1
DELETE_TIMEOUT_S = 60.0


def delete_application(name: str, handle: Any = None) -> None:
    """Return when the application is gone, or after its time to drain. Serve's own way to wait looks once a second.

    handle: of it, if it was ever called; what tells Serve of those calls would go on otherwise, after Ray, too.
    """
    from ray import serve

    if handle is not None:
        handle.shutdown()
    serve.delete(name, _blocking=False)
    for _ in range(round(DELETE_TIMEOUT_S / POLL_S)):
        if name not in serve.status().applications:
            return
        time.sleep(POLL_S)


def stop_ray(names: Collection[str] | None, handles: Mapping[str, Any]) -> None:
    """names: of the applications to drain, None for all that there are; the edge first: it still uses the cloud.
    handles: those that there are, by application."""
    import ray
    from ray import serve

    try:
        there = serve.status().applications
        for name in sorted(there, key=lambda name: name != "edge"):
            if names is None or name in names:
                delete_application(name, handles.get(name))
    finally:
        ray.shutdown()  # not `serve.shutdown`: it kills Serve's controller, and Ray complains of that on the terminal
