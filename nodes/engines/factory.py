"""Engines by name, on a device that was checked to be there."""

from __future__ import annotations

from collections.abc import Callable

import torch

from isthmus.errors import DeviceUnavailable, InvalidConfiguration, NotFound
from nodes.engines.base import Engine
from nodes.engines.eager import EagerEngine
from nodes.engines.paced import PacedEngine

__all__ = ["ENGINE_NAMES", "EXACT_ENGINES", "engine_for"]

ENGINE_NAMES = ("eager", "onnxruntime", "inductor", "aot")
EXACT_ENGINES = frozenset({"eager", "paced"})
"""Those that give the bits of the whole model."""


def engine_for(
    name: str = "eager", device: str = "cpu", *, threads: int = 1, slowdown: float = 1.0, paced_by: str = ""
) -> Engine:
    """The engine of that name on "cpu", "cuda" or "auto" (a GPU where there is one and the engine can use it).

    paced_by: of the engine `paced`, the file of a device profile; see `nodes.engines.paced`.
    Raises NotFound for an unknown engine, InvalidConfiguration for an unknown device or one that the engine cannot use,
    and for a compiling engine without a C++ compiler, DeviceUnavailable for "cuda" without a GPU, or with an
    onnxruntime that was not built for one.
    """
    if name == "paced":
        return PacedEngine.reading(paced_by, threads)
    if name not in ENGINE_NAMES:
        raise NotFound(f"engine: there is no {name!r}; use one of {', '.join(ENGINE_NAMES)}")
    if name == "eager":
        return EagerEngine(_checked_device(device), threads, slowdown)
    if name == "onnxruntime":
        return _onnxruntime(device, threads, slowdown)
    if device != "auto" and _checked_device(device) != "cpu":
        remedy = "use device: cpu, or engine: eager"
        raise InvalidConfiguration("device", f"is none that {name} runs on here", value=device, remedy=remedy)
    return _on_cpu(name)(threads, slowdown)


def _onnxruntime(device: str, threads: int, slowdown: float) -> Engine:
    """Imported when asked for: onnxruntime is 0.3 s and 60 MB that other nodes need not spend."""
    from nodes.engines.onnxruntime import OnnxRuntimeEngine
    from partitioner.onnx_providers import best_device
    from partitioner.onnx_session import offered_providers

    found = _checked_device(device)
    if device == "auto" and found == "cuda":  # torch sees a GPU; most builds of onnxruntime know of none
        found = best_device(offered_providers())
    return OnnxRuntimeEngine(threads, slowdown, device=found)


def _on_cpu(name: str) -> Callable[[int, float], Engine]:
    if name == "inductor":
        from nodes.engines.inductor import InductorEngine

        return InductorEngine
    from nodes.engines.aot import AotEngine

    return AotEngine


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
