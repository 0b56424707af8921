"""Isthmus: cut a neural network between an edge device and the cloud, where the device, the link and the load say so.

The public names below live in `isthmus.api` and load when they are used: importing this package loads neither torch,
ray nor grpc.
"""

from __future__ import annotations

import importlib

__all__ = [
    "AsyncClient",
    "Client",
    "Condition",
    "Constraints",
    "Costing",
    "DeviceProfile",
    "Frontier",
    "Link",
    "Model",
    "ModelSpec",
    "Plan",
    "Result",
    "Segments",
    "ThroughputFrontier",
    "TlsFiles",
    "frontier",
    "load_model",
    "measure_device",
    "measure_model",
    "partition",
    "throughput_frontier",
]


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(importlib.import_module("isthmus.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
