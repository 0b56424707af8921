"""What an ONNX model runs with: the threads of its caller, whoever ran it before; numbers of every type."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from nodes.compute_pool import ComputePool
from partitioner.artifact import load_artifact, save_artifact
from partitioner.onnx_form import ELEMENT_TYPES
from partitioner.onnx_front_end import model_from_onnx
from partitioner.onnx_model import OnnxModel
from partitioner.onnx_session import OnnxSession
from tests.partitioner.test_onnx_front_end import proto, rows, saved, value, weight


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Its batch is fixed to 1, so that reading it runs it, to prove that its items stay apart."""
    mix = helper.make_node("MatMul", ["x", "w"], ["y"], "mix")
    return saved(tmp_path / "a.onnx", proto([mix], [weight("w", 4, 4)], [value("x", 1, 4)]))


@pytest.fixture
def model(file: Path) -> OnnxModel:
    """Of that file."""
    return model_from_onnx(file)


def _threads_of_a_run(model: OnnxModel) -> int:
    model.whole(*rows(1))
    return model.whole.session.threads


@pytest.mark.parametrize("threads", [1, 2, 3])
async def test_it_runs_with_the_threads_of_whoever_calls_not_of_whoever_called_first(
    model: OnnxModel, threads: int
) -> None:
    with ComputePool(4) as before, ComputePool(threads) as pool:
        assert await before.run(_threads_of_a_run, model) == 4
        assert await pool.run(_threads_of_a_run, model) == threads


def test_one_number_of_threads_is_one_session(model: OnnxModel) -> None:
    assert model.whole.session is model.whole.session


def _sessions() -> int:
    gc.collect()
    return sum(type(one) is OnnxSession for one in gc.get_objects())


def test_reading_a_file_leaves_no_session_behind(file: Path) -> None:
    """Each holds a copy of the weights."""
    before, model = _sessions(), model_from_onnx(file)
    assert _sessions() == before
    assert model.whole.session
    assert _sessions() == before + 1


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "uint64"])
def test_unsigned_integers_of_any_width_cross_and_are_kept(tmp_path: Path, dtype: str) -> None:
    """The model's input, a weight and what its ops make."""
    kind = ELEMENT_TYPES[dtype]
    table = numpy_helper.from_array(np.arange(100, 0, -1).astype(dtype), "table")
    nodes = [
        helper.make_node("Cast", ["x"], ["places"], "places", to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "places"], ["found"], "find"),
        helper.make_node("Concat", ["x", "found"], ["both"], "join", axis=1),
        helper.make_node("Cast", ["both"], ["y"], "last", to=TensorProto.FLOAT),
    ]
    inputs = [value("x", "batch", 100, kind=kind)]
    model = model_from_onnx(saved(tmp_path / "a.onnx", proto(nodes, [table], inputs)))
    save_artifact(model, tmp_path / "artifact")
    loaded = load_artifact(tmp_path / "artifact")
    given = torch.arange(100).expand(2, 100).contiguous().to(getattr(torch, dtype))
    segments = loaded.split(["places", "find", "join"])
    made = segments.prefix(given)
    assert [loaded.graph.tensors[name].bytes for name in segments.boundary] == [200 * made[0].element_size()]
    assert torch.equal(segments.suffix(*made)[0][:, 100:], (100 - torch.arange(100.0)).expand(2, 100))
    fast = OnnxSession(loaded.onnx_form, loaded.graph.inputs, segments.boundary)
    assert torch.equal(fast(given)[0], made[0])
