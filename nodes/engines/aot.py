"""AOTInductor: torch's compiler ahead of time: a package of native code for each slice, kept on disk.

Compiled in a process of its own, loaded in a tenth of a second, and one call without Python in it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from nodes.engines.base import Runnable, Runner
from nodes.engines.compiled_runner import CompiledRunner
from nodes.engines.compiled_slice import CompiledRun, CompiledSlice, slice_of
from nodes.engines.compiler_folder import compiler_folder
from nodes.engines.cpp_compiler import check_compiler, processor_id
from nodes.engines.package_cache import Package, PackageCache
from nodes.engines.private_folder import compiled_folder
from nodes.engines.recently_used import MOST_SLICES, RecentlyUsed
from nodes.engines.running import check_threads
from nodes.engines.segment_export import cannot_compile
from nodes.engines.slowdown import check_slowdown
from partitioner.artifact import save_artifact

__all__ = ["AotEngine"]

# Raised when what is compiled, or how, changes: older packages are then made anew.
_FORM = 1


class AotEngine:
    """Compiles each slice once for this processor and thread budget (15 to 60 s for a whole model), and keeps it.

    threads: of one op, and of the compiler; part of the code. slowdown: emulated, 1 for none. folder: for the packages,
    private to this user. most_slices: whose code it has loaded, those used longest ago go first. The weights are the
    model's own, not copied. Raises InvalidConfiguration for a slowdown below 1, no threads, or a folder that others may
    write to.
    """

    name, device = "aot", "cpu"

    def __init__(
        self, threads: int = 1, slowdown: float = 1.0, folder: Path | None = None, most_slices: int = MOST_SLICES
    ) -> None:
        self.threads, self.slowdown = check_threads(threads), check_slowdown(slowdown)
        self._packages = PackageCache((folder or compiled_folder()) / "aot")
        self._compiler_folder = compiler_folder(folder)
        self._runs = RecentlyUsed[CompiledSlice, CompiledRun](most_slices)
        self._lock = threading.Lock()  # one compiler at a time: it takes all the memory and threads that it may

    @property
    def held_bytes(self) -> int:
        """See `Engine`: its code reads the model's own weights."""
        return 0

    def prepare(self, segments: Iterable[Runnable]) -> float:
        """See `Engine`. Raises InvalidConfiguration where something is to be compiled and no C++ compiler is there."""
        pieces = [slice_of(segment, self.name) for segment in segments]
        return sum(package.compile_s for package in self._made([piece for piece in pieces if piece.outputs]))

    def load(self, segment: Runnable) -> Runner:
        """See `Engine`. Raises InvalidModel for what is no torch segment; else as `prepare` does."""
        piece = slice_of(segment, self.name)
        run = self._runs.get(piece, partial(self._run, piece)) if piece.outputs else None
        return CompiledRunner(segment, piece, run, self.slowdown)  # type: ignore[arg-type]  # slice_of checked it

    def _run(self, piece: CompiledSlice) -> CompiledRun:
        (package,) = self._made([piece])
        return _loaded(piece, package.path)

    def _made(self, pieces: Sequence[CompiledSlice]) -> tuple[Package, ...]:
        """The packages of `pieces`; those that are missing are compiled first, model by model."""
        found = self._found(pieces)
        if None in found.values():  # else nobody waits for what is compiled meanwhile: requests may wait for this
            with self._lock:
                found = self._found(pieces)
                missing = sorted((one for one in found if found[one] is None), key=lambda one: one.model_digest)
                for _, of_model in groupby(missing, key=lambda one: one.model_digest):
                    found |= self._compile(list(of_model))
        return tuple(package for package in found.values() if package is not None)

    def _found(self, pieces: Sequence[CompiledSlice]) -> dict[CompiledSlice, Package | None]:
        return {piece: self._packages.find(self._facts(piece)) for piece in pieces}

    def _facts(self, piece: CompiledSlice) -> Mapping[str, object]:
        """All that the code of `piece` depends on: it holds for nothing else."""
        kinds = [[kind.dtype, [[size.per_item, size.fixed] for size in kind.shape]] for kind in piece.input_types]
        return {
            "form": _FORM,
            "torch": str(torch.__version__),
            "processor": processor_id(),
            "threads": self.threads,
            "model": piece.model_digest,
            "inputs": piece.inputs,
            "input_types": kinds,
            "outputs": piece.outputs,
        }

    def _compile(self, pieces: Sequence[CompiledSlice]) -> dict[CompiledSlice, Package]:
        """Pieces of one model, in a child process. What was made before one fails is kept."""
        check_compiler(self.name)
        made: dict[CompiledSlice, Package] = {}
        with self._packages.workshop() as folder:
            save_artifact(pieces[0].model, folder / "model")
            asked = [{"inputs": piece.inputs, "outputs": piece.outputs} for piece in pieces]
            (folder / "slices.json").write_text(json.dumps(asked))
            said = _run_compiler(folder, self._compiler_folder, self.threads)
            for number, piece in enumerate(pieces):
                seconds = folder / f"{number}.seconds"
                if not seconds.exists():
                    raise cannot_compile(piece, said)
                made[piece] = self._packages.keep(
                    self._facts(piece), folder / f"{number}.pt2", float(seconds.read_text())
                )
        return made


def _run_compiler(folder: Path, compiler: Path, threads: int) -> str:
    """What the child said on standard error, its last line."""
    command = [sys.executable, "-m", "nodes.engines.aot_compiler", str(folder), str(threads)]
    # TMPDIR: else the precompiled headers lie in /tmp under a known name, where another user can put theirs first.
    folders = {"TORCHINDUCTOR_CACHE_DIR": str(compiler), "TMPDIR": str(compiler)}
    environment = {**os.environ, **folders, "OMP_NUM_THREADS": str(threads)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, text=True
    ) as child:
        assert child.stderr is not None
        said = child.stderr.read()  # its standard input stays open until then: it ends with this process
    lines = [line for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else f"its compiler ended with {child.returncode}"


def _loaded(piece: CompiledSlice, package: Path) -> CompiledRun:
    # torch._inductor.aoti_load_package does the same, but unpickles what else an archive holds.
    loader: Any = torch._C._aoti.AOTIModelPackageLoader(str(package), "model", False, 1, -1)
    constants = {name: _lent(piece.model.weights[name]) for name in loader.get_constant_fqns()}
    if constants:
        loader.load_constants(constants, False, True, True)  # all of them, by reference
    return _AotRun(loader, constants)


def _lent(weight: torch.Tensor) -> torch.Tensor:
    """Another tensor of the same memory, which can be taken back."""
    own = torch.empty(0, dtype=weight.dtype)
    own.set_(weight.untyped_storage(), weight.storage_offset(), weight.shape, weight.stride())
    return own


@dataclass(frozen=True, slots=True)
class _AotRun:
    """loader: holds the package. constants: kept alive, since the code reads them where they lie."""

    loader: Any
    constants: Mapping[str, torch.Tensor]

    def __call__(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        made: list[torch.Tensor] = self.loader.boxed_run(tensors)
        return made

    def __del__(self) -> None:
        """torch's loader never lets go of a tensor that it was lent: its memory is taken back, and a shell stays."""
        for constant in self.constants.values():
            constant.data = constant.new_empty(0)
