"""onnxruntime takes and makes the same boundary tensors as eager, so either may run either side of a cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from isthmus import zoo
from isthmus.errors import ComputeFailed, DeviceUnavailable, InvalidConfiguration, InvalidModel
from nodes.engines.base import Engine
from nodes.engines.eager import EagerEngine
from nodes.engines.factory import engine_for
from nodes.engines.held_weights import engines_bytes
from nodes.engines.onnxruntime import OnnxRuntimeEngine
from partitioner.front_end import model_from_module
from partitioner.onnx_session import offered_providers
from partitioner.torch_model import TorchModel
from tests.nodes.engines.networks import Pictures, Sentences, pictures, sentences

Inputs = Callable[[int], tuple[Tensor, ...]]


@pytest.fixture(scope="module")
def small() -> dict[str, tuple[TorchModel, Inputs]]:
    torch.manual_seed(0)
    return {
        "pictures": (model_from_module(Pictures().eval(), pictures(2)), pictures),
        "sentences": (model_from_module(Sentences().eval(), sentences(2)), sentences),
    }


def check_cuts(model: TorchModel, cuts: Iterable[int], runs: Iterable[tuple[Tensor, ...]], tolerance: float) -> None:
    """After so many ops, on each pair of engines with onnxruntime in it: within `tolerance` of the whole on eager."""
    eager, fast = EagerEngine(), OnnxRuntimeEngine()
    pairs: list[tuple[Engine, Engine]] = [(fast, fast), (eager, fast), (fast, eager)]
    names = [op.name for op in model.graph.ops]
    wanted = [(inputs, eager.load(model.whole)(*inputs)) for inputs in runs]
    for count in cuts:
        segments = model.split(names[:count])
        for first, second in pairs:
            prefix, suffix = first.load(segments.prefix), second.load(segments.suffix)
            for inputs, expected in wanted:
                for found, exact in zip(suffix(*prefix(*inputs)), expected, strict=True):
                    torch.testing.assert_close(found, exact, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ["pictures", "sentences"])
def test_every_topological_prefix_agrees_with_the_whole(small: dict[str, tuple[TorchModel, Inputs]], name: str) -> None:
    model, inputs = small[name]
    check_cuts(model, range(len(model.graph.ops) + 1), [inputs(1), inputs(3)], 1e-5)


@pytest.mark.slow
def test_efficientnet_cut_in_places_agrees_with_the_whole() -> None:
    # Logits are within +-10; the largest difference seen is 7e-6.
    model = model_from_module(zoo.efficientnet_lite0())
    check_cuts(model, (0, 1, 23, 50, 77, 101, 140, 161), [pictures(1, 224), pictures(3, 224)], 1e-4)


@pytest.mark.slow
def test_minilm_cut_in_places_agrees_with_the_whole() -> None:
    # Embeddings have length 1; the largest difference seen is 3e-7.
    model = model_from_module(zoo.minilm())
    runs = [sentences(1, 64, 20_000), sentences(3, 64, 20_000)]
    check_cuts(model, (0, 7, 20, 40, 73, 90, 120, 158), runs, 1e-5)


def test_a_cut_loaded_twice_shares_its_session(small: dict[str, tuple[TorchModel, Inputs]]) -> None:
    engine, model = OnnxRuntimeEngine(), small["pictures"][0]
    segments = model.split([op.name for op in model.graph.ops[:2]])
    engine.load(segments.prefix)
    held = engine.held_bytes
    engine.load(segments.suffix)
    both = engine.held_bytes
    assert both > held > 0
    engine.load(model.split(segments.edge_ops).prefix)
    assert engine.held_bytes == both


def test_sessions_beyond_the_bound_go_and_come_back(small: dict[str, tuple[TorchModel, Inputs]]) -> None:
    model, inputs = small["pictures"]
    engine = OnnxRuntimeEngine(session_bytes=1)
    segments = model.split([model.graph.ops[0].name])
    prefix, suffix = engine.load(segments.prefix), engine.load(segments.suffix)
    held = engine.held_bytes
    suffix(*prefix(*inputs(2)))
    assert engine.held_bytes == held < sum(w.nbytes for w in model.weights.values())


def test_what_is_no_models_segment_is_refused() -> None:
    with pytest.raises(InvalidModel, match="segment"):
        OnnxRuntimeEngine().load(lambda x: (x,))


def test_a_failing_run_raises_compute_failed_in_one_line(small: dict[str, tuple[TorchModel, Inputs]]) -> None:
    with pytest.raises(ComputeFailed) as caught:
        OnnxRuntimeEngine().load(small["pictures"][0].whole)(torch.randn(1, 4, 10, 10))
    assert "\n" not in str(caught.value)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(InvalidConfiguration, match="threads"):
        engine_for("onnxruntime", threads=0)
    with pytest.raises(InvalidConfiguration, match="slowdown"):
        engine_for("onnxruntime", slowdown=0.5)


def test_it_runs_on_what_is_there() -> None:
    if "CUDAExecutionProvider" in offered_providers():
        pytest.skip("this onnxruntime knows of GPUs")
    assert engine_for("onnxruntime", device="auto").device == "cpu"
    with pytest.raises(DeviceUnavailable, match="device: cuda"):
        engine_for("onnxruntime", device="cuda")
    with pytest.raises(DeviceUnavailable, match=r"is not among .*CPUExecutionProvider"):
        OnnxRuntimeEngine(device="cuda")


def test_engines_of_several_models_hold_what_each_holds_once(small: dict[str, tuple[TorchModel, Inputs]]) -> None:
    engines = [OnnxRuntimeEngine(), OnnxRuntimeEngine()]
    for engine, (model, _) in zip(engines, small.values(), strict=True):
        engine.load(model.whole)
    assert engines_bytes([*engines, engines[0]]) == sum(engine.held_bytes for engine in engines) > engines[0].held_bytes


def test_what_takes_seconds_once_is_done_where_it_is_prepared(tmp_path: Path) -> None:
    """Plans are loaded where requests wait."""
    model = model_from_module(Pictures().eval(), pictures(2))
    engine = OnnxRuntimeEngine(folder=tmp_path / "weights")
    assert engine.prepare([model.whole, lambda *tensors: tensors]) == 0.0
    assert "onnx_form" in vars(model)
    (file,) = (tmp_path / "weights").iterdir()
    written = file.stat().st_mtime_ns
    engine.load(model.whole)
    assert file.stat().st_mtime_ns == written
