"""Calibration inputs as a file, on the way into an artifact."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from isthmus.cli.calibration_file import read_calibration
from isthmus.cli.main import app, main
from isthmus.errors import InvalidInput
from partitioner.artifact import load_artifact, save_artifact
from partitioner.front_end import model_from_module
from partitioner.model import Model
from tests.nodes.networks import recurrent_model

ITEMS = np.arange(12, dtype=np.float32).reshape(4, 3)


@pytest.fixture(scope="module")
def model() -> Model:
    return model_from_module(nn.Linear(3, 2), (torch.randn(1, 3),), "line")


@pytest.fixture
def written(tmp_path: Path, model: Model) -> Any:
    (name,) = model.graph.inputs

    def write(items: Any = ITEMS, called: str = name, **more: Any) -> Path:
        path = tmp_path / "seen.npz"
        np.savez(path, **{called: items, **more})
        return path

    return write


def test_a_file_becomes_the_calibration_of_an_artifact(tmp_path: Path, model: Model, written: Any) -> None:
    save_artifact(model, tmp_path / "bare")
    file = written(groups=np.array([0, 0, 1, 1]), truth=np.array([1, 0, 1, 1]))
    words = ["import", str(tmp_path / "bare"), "-o", str(tmp_path / "calibrated"), "--calibration", str(file)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    made = load_artifact(tmp_path / "calibrated")
    assert torch.equal(made.calibration[0], torch.from_numpy(ITEMS))
    assert (made.calibration_groups, made.calibration_truth) == ((0, 0, 1, 1), (1, 0, 1, 1))
    assert made.digest == model.digest


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"called": "y"}, "has no array 'x'"),
        ({"called": "groups"}, "has no array 'x'"),
        ({"noise": ITEMS}, "has an array 'noise' that is no input"),
        ({"items": ITEMS.astype(np.float64)}, r"input x: does not fit the model \(got 'float64 \[4, 3\]'\); give"),
        ({"items": ITEMS[:, :2]}, r"items first: \[items, 3\]"),
        ({"items": ITEMS[:0]}, "one at least"),
        ({"groups": np.array([0, 1])}, "--calibration, groups: does not fit"),
        ({"truth": np.array([0.5] * 4)}, "--calibration, truth: does not fit"),
        ({"items": np.array([{}] * 4, dtype=object)}, "no .npz file of plain arrays"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(model: Model, written: Any, given: dict[str, Any], said: str) -> None:
    said = said.replace("'x'", repr(model.graph.inputs[0])).replace("input x", f"input {model.graph.inputs[0]}")
    with pytest.raises(InvalidInput, match=said):
        read_calibration(written(**given), model)


def test_an_input_that_does_not_begin_with_the_batch_has_no_items_to_import(tmp_path: Path) -> None:
    model = recurrent_model(tmp_path / "a.onnx")
    np.savez(tmp_path / "seen.npz", x=ITEMS, state=np.zeros((4, 1, 3), np.float32))
    with pytest.raises(InvalidInput, match="--calibration, input state: does not begin with the batch"):
        read_calibration(tmp_path / "seen.npz", model)


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04broken"])
def test_what_is_no_such_file_is_refused(model: Model, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.npz").write_bytes(content)
    with pytest.raises(InvalidInput, match=r"no \.npz file"):
        read_calibration(tmp_path / "file.npz", model)


def with_another_entry(path: Path, items: npt.NDArray[Any]) -> None:
    np.savez(path, x=items)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("notes.txt", b"no array")


def deflated(path: Path, items: npt.NDArray[Any]) -> None:
    np.savez_compressed(path, x=items)
    _spoil(path)


def of(compression: int) -> Callable[[Path, npt.NDArray[Any]], None]:
    def write(path: Path, items: npt.NDArray[Any]) -> None:
        made = io.BytesIO()
        np.save(made, items)
        with zipfile.ZipFile(path, "w", compression) as archive:
            archive.writestr("x.npy", made.getvalue())
        _spoil(path)

    return write


def with_header(header: bytes) -> Callable[[Path, npt.NDArray[Any]], None]:
    def write(path: Path, items: npt.NDArray[Any]) -> None:
        made = b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", made + items.tobytes())

    return write


def _spoil(path: Path) -> None:
    """In the middle of the data of the only entry."""
    data = bytearray(path.read_bytes())
    at = data.index(b"x.npy") + 40
    data[at : at + 20] = b"\xff" * 20
    path.write_bytes(data)


DAMAGED = {
    "deflate": deflated,
    "bzip2": of(zipfile.ZIP_BZIP2),
    "lzma": of(zipfile.ZIP_LZMA),
    "an entry that is no array": with_another_entry,
    "a shape beyond all memory": with_header(b"{'descr': '<f4', 'fortran_order': False, 'shape': (%d,)}" % (1 << 61)),
    "a header that never ends": with_header(b"{'descr': '<f4', 'fortran_order': False, 'shape': (4,"),
    "a dtype that is none": with_header(b"{'descr': 7, 'fortran_order': False, 'shape': (4, 3)}"),
}


@pytest.mark.parametrize("write", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_one_line_and_exit_2(
    tmp_path: Path,
    model: Model,
    write: Callable[[Path, npt.NDArray[Any]], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    save_artifact(model, tmp_path / "bare")
    write(tmp_path / "seen.npz", np.random.default_rng(0).standard_normal((64, 3)).astype(np.float32))
    words = ["import", str(tmp_path / "bare"), "-o", str(tmp_path / "out"), "--calibration", str(tmp_path / "seen.npz")]
    monkeypatch.setattr(sys, "argv", ["isthmus", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert line.startswith("error: --calibration: is no .npz file of plain arrays")


def test_a_file_that_is_not_there_is_named(model: Model, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read: No such file"):
        read_calibration(tmp_path / "none.npz", model)
