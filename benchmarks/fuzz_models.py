"""Files that people give: models as .pt2, TorchScript and .onnx, calibration inputs as .npz, made by the real writers.
See `benchmarks.fuzz_targets`.

What of an archive is looked at before torch opens it is run each time; torch itself, which takes a third of a second
over a model, once in two hundred.
"""

from __future__ import annotations

import io
import json
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from benchmarks.fuzz_mutation import Mutator
from benchmarks.fuzz_targets import Branched, Target, spoilt
from isthmus.cli.calibration_file import read_calibration
from isthmus.errors import InvalidModel
from partitioner.front_end import model_from_module, model_from_pt2
from partitioner.onnx_front_end import model_from_onnx
from partitioner.pt2_scan import scanned_pt2
from partitioner.torchscript import model_from_torchscript
from partitioner.torchscript_scan import is_torchscript, scanned_torchscript

__all__ = ["Archives", "OnnxFiles", "model_targets"]

_WHOLE = 0.005
Read = Callable[[Path], object]


class Archives:
    """A file that is a zip archive: with a fault in its bytes, or in an entry whose checksum is right again."""

    def __init__(self, name: str, file: bytes, look: Read, load: Read) -> None:
        """look: at what the file holds. load: all of it, once in two hundred cases."""
        self.name, self._look, self._load = name, look, load
        self._entries = _entries(file)
        self._sound = [file, *(_archive(self._entries, kind) for kind in _COMPRESSIONS)]

    def run(self, mutator: Mutator) -> None:
        """See Target."""
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch and numpy warn of much in such files
            path = Path(folder) / "file"
            path.write_bytes(self._spoilt(mutator))
            (self._load if mutator.often(_WHOLE) else self._look)(path)

    def _spoilt(self, mutator: Mutator) -> bytes:
        if mutator.often(0.3):
            return mutator.data(mutator.rng.choice(self._sound), self._sound)
        entries = dict(self._entries)
        for _ in range(mutator.rng.choice((1, 1, 2))):
            name = mutator.rng.choice(sorted(entries))
            content = entries.pop(name)
            called = mutator.text(name) if mutator.often(0.03) else name
            called = called.replace("\0", "") or name  # a name ends at its first 0, and none cannot be written
            entries[called] = _spoilt_entry(name, content, mutator)
        return _archive(entries, mutator.rng.choice(_QUICK))


_QUICK = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_COMPRESSIONS = (*_QUICK, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def _spoilt_entry(name: str, content: bytes, mutator: Mutator) -> bytes:
    if name.endswith(".json") and mutator.often(0.8):
        try:
            return json.dumps(mutator.document(json.loads(content))).encode()
        except (RecursionError, ValueError):  # as deep as a file may be, or spoilt before
            return b"[" * 100_000
    return bytes(1 << 21) if mutator.often(0.02) else mutator.data(content)


def _entries(file: bytes) -> Mapping[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _archive(entries: Mapping[str, bytes], compression: int) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return made.getvalue()


class OnnxFiles:
    """A model in an .onnx file: looked at, and run by onnxruntime where it passes."""

    name = "onnx files"

    def __init__(self) -> None:
        self._sound = (_plain(), _branching())

    def run(self, mutator: Mutator) -> None:
        """See Target."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "file.onnx"
            path.write_bytes(spoilt(mutator.rng.choice(self._sound), mutator))
            model_from_onnx(path)


def model_targets() -> Sequence[Target]:
    """A target for each kind of file. Takes a second."""
    torch.manual_seed(0)
    module, example = Branched(4).eval(), torch.zeros(2, 4)
    exported, traced = io.BytesIO(), io.BytesIO()
    shapes = ({0: torch.export.Dim.DYNAMIC},)
    torch.export.save(torch.export.export(module, (example,), dynamic_shapes=shapes), exported)
    torch.jit.save(torch.jit.trace(module, example), traced)  # type: ignore[no-untyped-call]
    model = model_from_module(module, (example,), "two")
    arrays = io.BytesIO()
    items = np.arange(12, dtype=np.float32).reshape(3, 4)
    given: dict[str, Any] = {model.graph.inputs[0]: items, "groups": np.array([0, 0, 1]), "truth": np.array([2, 1, 0])}
    np.savez(arrays, **given)

    def calibration(path: Path) -> object:
        return read_calibration(path, model)

    return (
        Archives("pt2 files", exported.getvalue(), scanned_pt2, model_from_pt2),
        Archives("TorchScript files", traced.getvalue(), _look_at_script, model_from_torchscript),
        OnnxFiles(),
        Archives("npz files", arrays.getvalue(), calibration, calibration),
    )


def _look_at_script(path: Path) -> object:
    """As `partitioner.model_source` does."""
    if not is_torchscript(path):
        raise InvalidModel(str(path), "is not a model file")
    return scanned_torchscript(path)


def _plain() -> onnx.ModelProto:
    """A layer, and a shape that is worked out."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"], "mix"),
        helper.make_node("Shape", ["m"], ["shape"]),
        helper.make_node("Reshape", ["m", "shape"], ["same"]),
        helper.make_node("Constant", [], ["one"], value=helper.make_tensor("one", TensorProto.FLOAT, [], [1.0])),
        helper.make_node("Add", ["same", "one"], ["more"]),
        helper.make_node("Softmax", ["more"], ["y"], axis=-1),
    ]
    return _proto(nodes)


def _branching() -> onnx.ModelProto:
    """A branch that the shape decides."""
    bodies = [
        helper.make_graph(
            [helper.make_node(kind, ["m"], ["out"])], kind, [], [onnx.ValueInfoProto(name="out")]
        )
        for kind in ("Relu", "Neg")
    ]  # fmt: skip
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("Shape", ["m"], ["shape"], start=1),
        helper.make_node("Equal", ["shape", "wide"], ["is_wide"]),
        helper.make_node("Squeeze", ["is_wide"], ["decided"]),
        helper.make_node("If", ["decided"], ["y"], then_branch=bodies[0], else_branch=bodies[1]),
    ]
    return _proto(nodes)


def _proto(nodes: Sequence[onnx.NodeProto]) -> onnx.ModelProto:
    weights = np.linspace(-1, 1, 4 * 30, dtype=np.float32).reshape(4, 30)  # so many that they stand apart
    constants = [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(np.array([30]), "wide")]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])]
    graph = helper.make_graph(list(nodes), "g", inputs, [onnx.ValueInfoProto(name="y")], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
