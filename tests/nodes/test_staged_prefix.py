"""A prefix that stops at its boundary tensors: the same bits, offered earlier."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import combinations

import pytest
import torch

from nodes.codecs import factory, pieces
from nodes.codecs.base import EncodedTensor
from nodes.codecs.factory import codec as codec_named
from nodes.codecs.zstd import ZstdCodec
from nodes.engines.eager import EagerEngine
from nodes.engines.factory import engine_for
from nodes.halves import EdgeHalf
from nodes.inputs import ModelInputs
from nodes.measure.early_tensors import LEAST_LEAD_S, early_counts, measure_leads
from nodes.model_runtime import wire_codecs
from nodes.plan_builder import PlanBuilder
from nodes.plan_shapes import cut_plan
from nodes.staged_prefix import needed_ops, stages_of
from partitioner.front_end import model_from_module
from partitioner.model import Model
from tests.nodes.engines.networks import Pictures, Sentences, pictures, sentences
from tests.nodes.networks import SKIP_OPS, WIDTH, skip_model

EARLY = [early for count in range(3) for early in combinations((1, 2), count)]


@pytest.fixture(scope="module")
def model() -> Model:
    return skip_model()


def half(
    model: Model, early: Sequence[int], engine: str = "eager", slowdown: float = 1.0, codec: str = "zstd",
    ops: int = SKIP_OPS,
) -> EdgeHalf:  # fmt: skip
    plan = cut_plan(model, tuple(op.name for op in model.graph.ops[:ops]), {}, codec)
    codecs = wire_codecs(plan.boundary), wire_codecs(plan.downlink)
    return EdgeHalf(model, plan.edge_ops, *codecs, engine_for(engine), slowdown, early=early)


def _decoded(encoded: EncodedTensor) -> torch.Tensor:
    return codec_named(encoded.codec).decode(encoded)


def inputs(batch: int = 2) -> ModelInputs:
    return ModelInputs({"x": torch.randn(batch, WIDTH, generator=torch.Generator().manual_seed(1))}, batch)


@pytest.mark.parametrize("engine", ["eager", "onnxruntime"])
@pytest.mark.parametrize("early", EARLY)
def test_the_outcome_is_the_same_in_stages(model: Model, early: tuple[int, ...], engine: str) -> None:
    edge, offered = half(model, early, engine), list[EncodedTensor]()
    whole, staged = edge.run(inputs()), edge.run(inputs(), offered.append)
    assert staged.encoded == whole.encoded
    assert all(torch.equal(staged.boundary[name], tensor) for name, tensor in whole.boundary.items())  # type: ignore[arg-type]
    assert [a.tolist() for _, a in edge.finish_locally(staged)] == [a.tolist() for _, a in edge.finish_locally(whole)]
    assert tuple(offered) == (staged.encoded[:2] if early else ())


@pytest.mark.parametrize("engine", ["eager", "onnxruntime"])
@pytest.mark.parametrize("early", [(), (1, 2)])
@pytest.mark.parametrize("ops", [0, SKIP_OPS])
@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_large_tensors_are_offered_in_pieces_of_the_same_outcome(
    model: Model, early: tuple[int, ...], engine: str, ops: int, codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "LEAST_BYTES", 8 * WIDTH)  # a batch of two of the wider ones
    edge, offered = half(model, early, engine, codec=codec, ops=ops), list[EncodedTensor]()
    whole, staged = edge.run(inputs()), edge.run(inputs(), offered.append)
    assert all(
        torch.equal(_decoded(a), _decoded(b)) for a, b in zip(pieces.joined(staged.encoded), whole.encoded, strict=True)
    )
    assert tuple(offered) == staged.encoded[:-1] * edge.offers(2)
    assert len(staged.encoded) == edge.pieces(2)
    assert (codec == "lz4") == (edge.pieces(2) == edge.crossing)
    assert [a.tolist() for _, a in edge.finish_locally(staged)] == [a.tolist() for _, a in edge.finish_locally(whole)]


@pytest.mark.parametrize(("network", "example"), [(Pictures, pictures), (Sentences, sentences)])
def test_at_every_cut_every_stage_gives_the_bits_of_the_whole_prefix(network: type, example: object) -> None:
    torch.manual_seed(0)
    made = model_from_module(network().eval(), example(2), "made")  # type: ignore[operator]
    tensors = example(2)  # type: ignore[operator]
    for count in range(1, len(made.graph.ops) + 1):
        ops = tuple(op.name for op in made.graph.ops[:count])
        segments = made.split(ops)
        values = dict(zip(made.graph.inputs, tensors, strict=True))
        for stage in stages_of(made, ops, EagerEngine(), range(1, len(segments.boundary))):
            stage(values)
        for name, expected in zip((*segments.boundary, *segments.kept), segments.prefix(*tensors), strict=True):
            assert torch.equal(values[name], expected)


def test_a_stage_runs_no_op_that_its_tensor_does_not_need(model: Model) -> None:
    boundary = model.graph.boundary(op.name for op in model.graph.ops[:SKIP_OPS])
    assert len(needed_ops(model.graph, boundary[:1])) == 2
    assert needed_ops(model.graph, ()) == frozenset()


def test_without_anybody_to_offer_to_the_prefix_runs_as_one(model: Model) -> None:
    edge = half(model, (1, 2))
    ran = []
    edge.prefix = lambda *tensors, run=edge.prefix: ran.append(1) or run(*tensors)  # type: ignore[func-returns-value]
    edge.run(inputs())
    assert ran == [1]


@pytest.mark.parametrize(
    ("leads", "counts"),
    [((), ()), ((0.1,), (1,)), ((LEAST_LEAD_S / 2,), ()), ((0.1, 0.0999, 0.05), (2, 3)), ((0.1, 0.05, 0.0), (1, 2))],
)
def test_a_stage_ends_where_its_tensor_is_worth_it(leads: tuple[float, ...], counts: tuple[int, ...]) -> None:
    assert early_counts(leads) == counts


def test_leads_are_of_all_boundary_tensors_but_the_last_and_fall(model: Model) -> None:
    leads = measure_leads(half(model, (1, 2)), inputs())
    assert len(leads) == 2
    assert leads[0] >= leads[1] > 0


def test_a_tensor_in_pieces_is_there_with_the_last(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(ZstdCodec):
        def encode_pieces(self, name: str, tensor: torch.Tensor, count: int) -> Iterator[EncodedTensor]:
            first, *rest = super().encode_pieces(name, tensor, count)
            yield first
            time.sleep(0.02)
            yield from rest

    monkeypatch.setattr(pieces, "LEAST_BYTES", 1)
    monkeypatch.setitem(factory._PLAIN_CODECS, "zstd", Slow)
    first, second = measure_leads(half(model, (1, 2)), inputs())
    assert 0.04 <= first < 2.9 * second  # the two other tensors', not its own
    assert second >= 0.02


def test_an_edge_so_slow_that_it_pays_offers_plans_that_do(model: Model) -> None:
    ops = tuple(op.name for op in model.graph.ops[:SKIP_OPS])
    offers = {}
    for slowdown in (1.0, 1000.0):
        builder = PlanBuilder(model, EagerEngine(), slowdown=slowdown)
        meter, plan = builder._meter, builder._plan(ops, {})
        offers[slowdown] = meter._early(plan, meter._half(plan, 1.0), inputs(1))
    assert offers[1000.0]
