"""Compiles slices of one model to packages: `python -m nodes.engines.aot_compiler FOLDER THREADS`, its own process.

A process of its own, so that compiling takes neither the interpreter lock nor the memory (1 GB and more) of the process
that serves; it gives way to it (nice 5). FOLDER holds the model's artifact in `model` and the slices in `slices.json`;
the package of slice N becomes `N.pt2`, and `N.seconds` says how long it took. What cannot be compiled is told on
standard error, and the process ends with 1. It also ends when its standard input does: with the process that began it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

import torch

from isthmus.errors import IsthmusError
from nodes.engines.compiled_slice import CompiledSlice
from nodes.engines.segment_export import cannot_compile, exported_slice
from partitioner.artifact import load_artifact
from partitioner.torch_model import TorchModel

__all__ = ["main"]


def main() -> int:
    """Compile all that the folder asks for."""
    folder, threads = Path(sys.argv[1]), int(sys.argv[2])
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.nice(5)
    torch.set_num_threads(threads)  # becomes part of the code
    try:
        model = load_artifact(folder / "model")
        assert isinstance(model, TorchModel)
        for number, names in enumerate(json.loads((folder / "slices.json").read_text())):
            piece = CompiledSlice(model, model.digest, tuple(names["inputs"]), tuple(names["outputs"]))
            started = time.perf_counter()
            _compile(piece, folder / f"{number}.pt2", threads)
            (folder / f"{number}.seconds").write_text(str(time.perf_counter() - started))
    except IsthmusError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _compile(piece: CompiledSlice, package: Path, threads: int) -> None:
    from torch._inductor import aoti_compile_and_package

    settings = {
        "aot_inductor.package_constants_in_so": False,  # the node hands it the weights that it has
        "compile_threads": threads,
        "fx_graph_cache": False,
    }
    try:
        aoti_compile_and_package(exported_slice(piece), package_path=str(package), inductor_configs=settings)
    except IsthmusError:
        raise
    except Exception as error:  # whatever torch's internals or the C++ compiler raise
        raise cannot_compile(piece, error) from error


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
