"""Which of onnxruntime's execution providers run a session on a device, out of those that are there."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from isthmus.errors import DeviceUnavailable

__all__ = ["best_device", "check_started", "session_providers"]

_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


def session_providers(device: str, offered: Collection[str]) -> list[str]:
    """For "cpu" or "cuda", the one that decides first; on a GPU the CPU's runs what has no kernel there.

    offered: what `onnxruntime.get_available_providers` says. Raises DeviceUnavailable where the device's own is
    missing: nothing runs elsewhere than was asked for.
    """
    wanted = (_CUDA, _CPU) if device == "cuda" else (_CPU,)
    found = [provider for provider in wanted if provider in offered]
    if found[:1] != [wanted[0]]:
        has = ", ".join(sorted(offered)) or "none"
        remedy = "install onnxruntime-gpu, or set device: cpu" if device == "cuda" else "install onnxruntime"
        raise DeviceUnavailable(f"device: {device} needs onnxruntime's {wanted[0]}, which is not among {has}; {remedy}")
    return found


def check_started(wanted: Sequence[str], running: Collection[str]) -> None:
    """Raise DeviceUnavailable where the first of `wanted` is not `running`: onnxruntime leaves out a provider whose
    libraries are missing, with a line in its log."""
    if wanted[0] not in running:
        remedy = "see what it writes when a session is made, or set device: cpu"
        raise DeviceUnavailable(f"device: onnxruntime could not start its {wanted[0]}; {remedy}")


def best_device(offered: Collection[str]) -> str:
    """ "cuda" where one of `offered` runs there, else "cpu"."""
    return "cuda" if _CUDA in offered else "cpu"
