"""How much memory a model's activations hold at once, watched while it runs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["peak_activation_bytes", "peak_allocated_bytes"]

_CPU, _CUDA = 0, 1  # as c10 numbers its devices


def peak_activation_bytes(run: Any, inputs: tuple[torch.Tensor, ...], parameters: Iterable[torch.Tensor] = ()) -> int:
    """The most bytes that inputs and everything made from them held at once during `run(*inputs)`.

    Storages count once, however many views they have; those of `parameters` do not. What an op allocates inside itself
    and frees before it returns is not seen.
    """
    watch = _Watch({tensor.untyped_storage()._cdata for tensor in parameters})
    watch.see(inputs)
    with torch.inference_mode(), watch:
        run(*inputs)
    return watch.peak_bytes


def peak_allocated_bytes(run: Callable[..., object], inputs: tuple[torch.Tensor, ...], device: str) -> int:
    """The most bytes that the inputs (on the CPU) and all that torch's allocator of `device` ("cpu", "cuda") handed out
    during `run(*inputs)` held at once: of compiled code, too, whose ops nobody sees one by one.

    Call it when `run` has run before: the first call keeps things that no other does. Memory that code takes from the
    system by itself is not seen.
    """
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]
    with _quiet_profiler(), profile(activities=activities, profile_memory=True) as watched:
        run(*inputs)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        watched.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    if device == "cuda":
        return _highest(events, _CUDA)
    return sum(tensor.nbytes for tensor in inputs) + _highest(events, _CPU)


@contextmanager
def _quiet_profiler() -> Iterator[None]:
    """It writes lines to stderr, unless the environment says before its first run that it shall not."""
    name = "KINETO_LOG_LEVEL"
    if name in os.environ:
        yield
        return
    os.environ[name] = "6"  # above errors, which torch raises besides
    try:
        yield
    finally:
        del os.environ[name]


def _highest(events: list[Any], kind: int) -> int:
    """Above what was held before the first event of that kind of memory."""
    memory = sorted((one for one in events if one.get("name") == "[memory]"), key=lambda one: one["ts"])
    steps: list[int] = [one["args"]["Bytes"] for one in memory if one["args"]["Device Type"] == kind]
    return max(accumulate(steps, initial=0))


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps a weak reference to each storage that an op made, and the largest sum of those alive."""

    def __init__(self, known: set[int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._known = known
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak_bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        self.see(made)
        return made

    def see(self, values: Any) -> None:
        """New storages are alive from now on."""
        for value in tree_leaves(values):
            if isinstance(value, torch.Tensor):
                storage = value.untyped_storage()
                if storage._cdata not in self._known and storage._cdata not in self._alive:
                    self._alive[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())  # type: ignore[no-untyped-call]
        self._alive = {key: one for key, one in self._alive.items() if not one[0].expired()}  # type: ignore[no-untyped-call]
        self.peak_bytes = max(self.peak_bytes, sum(size for _, size in self._alive.values()))
