"""Sessions share the pages of one file, and do without it where none can be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from nodes.engines.mapped_weights import MappedWeights
from nodes.engines.onnxruntime import OnnxRuntimeEngine
from partitioner.front_end import model_from_module
from partitioner.onnx_form import OnnxForm
from partitioner.onnx_weight_file import WeightFile
from partitioner.torch_model import TorchModel

MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def model() -> TorchModel:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 80), nn.ReLU(), nn.Linear(80, 7))
    return model_from_module(layers.eval(), (torch.zeros(2, 64),), "layers")


def test_engines_of_one_folder_map_one_file(model: TorchModel, tmp_path: Path) -> None:
    first, second = (OnnxRuntimeEngine(folder=tmp_path / "weights") for _ in range(2))
    first.load(model.whole)
    (file,) = (tmp_path / "weights").iterdir()
    before = file.stat().st_ino
    second.load(model.whole)
    assert [path.stat().st_ino for path in (tmp_path / "weights").iterdir()] == [before]


def test_a_file_that_somebody_deleted_is_written_again(model: TorchModel, tmp_path: Path) -> None:
    weights = MappedWeights(tmp_path / "weights")
    made = weights.of(model.digest, model.onnx_form)
    assert made is not None
    made.path.unlink()
    again = weights.of(model.digest, model.onnx_form)
    assert again == made
    assert made.is_there


def test_where_nothing_can_be_written_weights_are_copied(model: TorchModel, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("no folder")
    engine, inputs = OnnxRuntimeEngine(folder=tmp_path / "taken" / "weights"), torch.randn(1, 64)
    torch.testing.assert_close(engine.load(model.whole)(inputs), model(inputs), rtol=1e-5, atol=1e-6)
    assert engine.held_bytes == sum(weight.nbytes for weight in model.onnx_form.weights.values())


def test_a_folder_that_others_may_write_to_is_not_mapped_from(model: TorchModel, tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    assert MappedWeights(folder).of(model.digest, model.onnx_form) is None


def test_halves_that_drop_each_other_come_back_holding_nothing(model: TorchModel, tmp_path: Path) -> None:
    engine, inputs = OnnxRuntimeEngine(session_bytes=1, folder=tmp_path), torch.randn(3, 64)
    names = [op.name for op in model.graph.ops]
    halves = [half for cut in (1, 3) for half in (model.split(names[:cut]).prefix, model.split(names[:cut]).suffix)]
    runners = [engine.load(half) for half in halves]
    for runner, half in list(zip(runners, halves, strict=True)) * 3:
        fed = (inputs,) if half.inputs == model.graph.inputs else (torch.randn(3, 96 if half is halves[1] else 80),)
        torch.testing.assert_close(runner(*fed), half(*fed), rtol=1e-5, atol=1e-5)
    assert engine.held_bytes == 0


def test_one_that_had_to_go_once_is_laid_out_for_speed_again(model: TorchModel, tmp_path: Path) -> None:
    """Whoever measures halves drops the whole once, and measures it again."""
    engine = OnnxRuntimeEngine(session_bytes=1, folder=tmp_path)
    whole = engine.load(model.whole)
    held = engine.held_bytes
    engine.load(model.split([model.graph.ops[0].name]).prefix)
    whole(torch.randn(1, 64))
    assert engine.held_bytes == held > 0


def test_a_session_whose_file_goes_while_it_is_made_is_handed_its_weights(
    model: TorchModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, found = OnnxRuntimeEngine(folder=tmp_path), MappedWeights.of

    def shed(weights: MappedWeights, digest: str, form: OnnxForm) -> WeightFile | None:
        made = found(weights, digest, form)
        assert made is not None
        made.path.unlink()
        return made

    monkeypatch.setattr(MappedWeights, "of", shed)
    inputs = torch.randn(1, 64)
    torch.testing.assert_close(engine.load(model.whole)(inputs), model(inputs), rtol=1e-5, atol=1e-6)


def test_a_file_that_goes_while_it_is_looked_at_is_written_by_the_next(
    model: TorchModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, touch = MappedWeights(tmp_path), os.utime

    def shed(path: Path) -> None:
        path.unlink()
        touch(path)

    monkeypatch.setattr("os.utime", shed)
    assert weights.of(model.digest, model.onnx_form) is None
    monkeypatch.undo()
    assert weights.of(model.digest, model.onnx_form) is not None


def test_what_could_not_be_written_is_not_tried_for_each_session(model: TorchModel, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("no folder")
    weights = MappedWeights(tmp_path / "taken" / "weights")
    assert weights.of(model.digest, model.onnx_form) is None
    (tmp_path / "taken").unlink()
    assert weights.of(model.digest, model.onnx_form) is None


# In a process of its own: what others freed before would hide what is taken.
_HELD = """
import re, sys
from pathlib import Path
import torch
from torch import nn
from nodes.engines.mapped_weights import MappedWeights
from partitioner.front_end import model_from_module
from partitioner.onnx_session import OnnxSession

def anonymous_bytes():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) << 10

model = model_from_module(nn.Linear(4096, 4096).eval(), (torch.zeros(2, 4096),), "wide")
form, graph = model.onnx_form, model.graph
mapped, inputs = MappedWeights(Path(sys.argv[1])).of(model.digest, form), torch.randn(1, 4096)
kept = [OnnxSession(form, graph.inputs, graph.outputs, mapped=mapped, packed=False)]
before = anonymous_bytes()
for _ in range(3):
    kept.append(OnnxSession(form, graph.inputs, graph.outputs, mapped=mapped, packed=False))
    kept[-1](inputs)
print(anonymous_bytes() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what memory is a process's own")
def test_sessions_that_are_to_hold_little_take_no_memory_for_a_weight_of_64_mb(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", _HELD, tmp_path], check=True, capture_output=True, text=True)
    assert int(ended.stdout) < 24 * MEGABYTE
