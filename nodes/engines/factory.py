"""Engines by name, on a device that was checked to be there."""

from __future__ import annotations

import torch

from isthmus.errors import DeviceUnavailable, InvalidConfiguration, NotFound
from nodes.engines.base import Engine
from nodes.engines.eager import EagerEngine

__all__ = ["ENGINE_NAMES", "engine_for"]

ENGINE_NAMES = ("eager", "onnxruntime")


def engine_for(name: str = "eager", device: str = "cpu", *, threads: int = 1, slowdown: float = 1.0) -> Engine:
    """The engine of that name on "cpu", "cuda" or "auto" (a GPU where there is one and the engine can use it).

    Raises NotFound for an unknown engine, InvalidConfiguration for an unknown device or one that the engine cannot use,
    DeviceUnavailable for "cuda" without a GPU.
    """
    if name not in ENGINE_NAMES:
        raise NotFound(f"engine: there is no {name!r}; use one of {', '.join(ENGINE_NAMES)}")
    if name == "onnxruntime":
        return _onnxruntime(device, threads, slowdown)
    return EagerEngine(_checked_device(device), threads, slowdown)


def _onnxruntime(device: str, threads: int, slowdown: float) -> Engine:
    from nodes.engines.onnxruntime import OnnxRuntimeEngine  # 0.3 s and 60 MB that eager nodes need not spend

    if device != "auto" and _checked_device(device) != "cpu":
        remedy = "use device: cpu, or engine: eager"
        raise InvalidConfiguration("device", "is none that onnxruntime runs on here", value=device, remedy=remedy)
    return OnnxRuntimeEngine(threads, slowdown)


def _checked_device(device: str) -> str:
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device not in ("cpu", "cuda"):
        raise InvalidConfiguration("device", "is not one", value=device, remedy="use cpu, cuda or auto")
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceUnavailable(
            "device: cuda was asked for, but torch sees no GPU here; set device: cpu, or install a CUDA build of torch"
        )
    return device
