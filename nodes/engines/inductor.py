"""Inductor: torch's own compiler, in this process: fused C++ for one segment, whatever its batch.

docs/engines.md says what it gains. Its results differ from eager's in the last digits.
"""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from nodes.compute_pool import ComputePool
from nodes.engines.base import Runnable, Runner
from nodes.engines.compiled_runner import CompiledRunner
from nodes.engines.compiled_slice import CompiledRun, CompiledSlice, slice_of
from nodes.engines.compiler_folder import compiler_folder
from nodes.engines.cpp_compiler import check_compiler
from nodes.engines.recently_used import MOST_SLICES, RecentlyUsed
from nodes.engines.running import check_threads
from nodes.engines.segment_export import cannot_compile, exported_slice
from nodes.engines.slowdown import check_slowdown

__all__ = ["InductorEngine"]

# Inductor's compiler keeps its state in its modules: one compilation at a time in a process.
_COMPILING = threading.Lock()


class InductorEngine:
    """Compiles each slice once when it is first asked for, 15 to 60 s for a whole model; a restart compiles it again.

    threads: of one op, and of the compiler; they are part of the code. slowdown: emulated, 1 for none. The weights are
    the model's own, not copied. folder: for the C++ that Inductor makes, private to this user. most_slices: whose code
    it keeps, those used longest ago go first. Raises InvalidConfiguration for a slowdown below 1, no threads, no C++
    compiler, or a folder that others may write to.
    """

    name, device = "inductor", "cpu"

    def __init__(
        self, threads: int = 1, slowdown: float = 1.0, folder: Path | None = None, most_slices: int = MOST_SLICES
    ) -> None:
        self.threads, self.slowdown = check_threads(threads), check_slowdown(slowdown)
        check_compiler(self.name)
        self._folder = compiler_folder(folder)
        self._compiled = RecentlyUsed[CompiledSlice, tuple[CompiledRun, float]](most_slices)

    @property
    def held_bytes(self) -> int:
        """See `Engine`: its code reads the model's own weights."""
        return 0

    def prepare(self, segments: Iterable[Runnable]) -> float:
        """See `Engine`."""
        pieces = dict.fromkeys(slice_of(segment, self.name) for segment in segments)
        return sum(self._ready(piece)[1] for piece in pieces if piece.outputs)

    def load(self, segment: Runnable) -> Runner:
        """See `Engine`. Segments of one slice share its code. Raises InvalidModel for what is no torch segment."""
        piece = slice_of(segment, self.name)
        run = self._ready(piece)[0] if piece.outputs else None
        return CompiledRunner(segment, piece, run, self.slowdown)  # type: ignore[arg-type]  # slice_of checked it

    def _ready(self, piece: CompiledSlice) -> tuple[CompiledRun, float]:
        found = self._compiled.find(piece)  # without waiting for what is compiled meanwhile: requests may wait for this
        if found is not None:
            return found
        with _COMPILING:
            return self._compiled.get(piece, partial(self._made, piece))

    def _made(self, piece: CompiledSlice) -> tuple[CompiledRun, float]:
        started = time.perf_counter()
        # The number of threads at the time of compiling becomes part of the code.
        with ComputePool(self.threads, name="compile") as pool:
            run = pool.run_blocking(_compile, piece, self.threads, self._folder)
        return run, time.perf_counter() - started


def _compile(piece: CompiledSlice, threads: int, folder: Path) -> CompiledRun:
    from torch._functorch import config as autograd_config
    from torch._inductor import config
    from torch._inductor.compile_fx import compile_fx

    module: Any = exported_slice(piece).module(check_guards=False)
    inputs = [node.meta["val"] for node in module.graph.nodes if node.op == "placeholder"]
    # Its caches of whole graphs are pickles, and stay off; the C++ it makes is found again by its contents.
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)
    # It would keep precompiled headers in /tmp under a known name, where another user can put theirs first.
    settings = config.patch(fx_graph_cache=False, cpp_cache_precompile_headers=False, compile_threads=threads)
    autograd_settings = autograd_config.patch(enable_autograd_cache=False)
    try:
        with torch.no_grad(), settings, autograd_settings, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compiled: Any = compile_fx(module, inputs)
    except Exception as error:  # whatever torch's internals or the C++ compiler raise
        raise cannot_compile(piece, error) from error
    return lambda tensors: list(compiled(*tensors))
