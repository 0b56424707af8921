"""Models of ONNX files on the engines: eager runs them exactly, onnxruntime fast."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from nodes.engines.factory import engine_for
from nodes.measure.op_times import measure_op_times
from nodes.plan_builder import PlanBuilder
from partitioner.onnx_front_end import model_from_onnx
from partitioner.onnx_model import OnnxModel

EXAMPLES = (torch.zeros(1, 576), torch.zeros(2, 1, 128), torch.tensor(16_000))


@pytest.fixture(scope="module")
def silero() -> OnnxModel:
    spec = find_spec("silero_vad")
    assert spec is not None
    assert spec.origin is not None
    return model_from_onnx(Path(spec.origin).parent / "data" / "silero_vad.onnx", EXAMPLES)


def test_eager_gives_the_models_own_bits(silero: OnnxModel) -> None:
    inputs = (torch.randn(3, 576) / 10, torch.randn(2, 3, 128))
    segments, engine = silero.split([op.name for op in silero.graph.ops[:20]]), engine_for("eager")
    found = engine.load(segments.suffix)(*engine.load(segments.prefix)(*inputs))
    assert all(map(torch.equal, found, silero(*inputs)))


def test_onnxruntime_agrees_at_every_cut(silero: OnnxModel) -> None:
    inputs, engine = (torch.randn(3, 576) / 10, torch.randn(2, 3, 128)), engine_for("onnxruntime")
    expected, ops = silero(*inputs), [op.name for op in silero.graph.ops]
    for count in range(len(ops) + 1):
        segments = silero.split(ops[:count])
        found = engine.load(segments.suffix)(*engine.load(segments.prefix)(*inputs))
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("engine", ["eager", "onnxruntime"])
def test_its_ops_are_timed(silero: OnnxModel, engine: str) -> None:
    times = measure_op_times(silero, engine_for(engine), budget_s=0.05)
    convolutions = [op.name for op in silero.graph.ops if op.kind == "Conv"]
    assert all(times.seconds[name].seconds > 0 for name in convolutions)


def test_plans_are_made_of_it(silero: OnnxModel) -> None:
    builder = PlanBuilder(silero, engine_for("onnxruntime"), 1.0)
    cut = tuple(op.name for op in silero.graph.ops[:20])
    drafts = (*builder.unsplit(), *builder.split(cut))
    made = (*builder.edge_only(), *(plan for draft in drafts for plan in builder.ready(draft, "onnxruntime")))
    kinds = [ready.entry.plan.kind for ready in made]
    assert kinds == ["edge-only", "cloud-only", "cloud-only", "split"]  # raw, and compressed
