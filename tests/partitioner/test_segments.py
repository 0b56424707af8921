"""Split output equals whole output, bit for bit, at every cut."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils import _pytree as pytree

from isthmus.errors import InvalidPlan
from partitioner.graph import ModelGraph
from partitioner.segments import Segments

BATCHES = (1, 2, 3, 7)


def through(segments: Segments, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The outputs by way of a cut, each crossing tensor in memory of its own as after a trip over the wire."""
    with torch.inference_mode():
        made = segments.prefix(*inputs)
        assert len(made) == len(segments.boundary) + len(segments.kept)
        outputs: tuple[Tensor, ...] = segments.suffix(*(t.clone() for t in made))
    return outputs


def whole(case: Any, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    with torch.inference_mode():
        return pytree.tree_leaves(case.module(*(t.clone() for t in inputs)))


def same(found: Iterable[Tensor], expected: Iterable[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def closure(graph: ModelGraph, names: Iterable[str]) -> set[str]:
    """`names` with all their predecessors."""
    found: set[str] = set()
    stack = list(names)
    while stack:
        name = stack.pop()
        if name not in found:
            found.add(name)
            producers = (graph.tensors[t].producer for t in graph.op(name).inputs)
            stack += [p for p in producers if p is not None]
    return found


def test_every_topological_prefix_gives_the_whole_models_bits(case: Any) -> None:
    ops = [op.name for op in case.model.graph.ops]
    runs = [(inputs, whole(case, inputs)) for inputs in map(case.inputs, BATCHES)]
    for count in range(len(ops) + 1):
        segments = case.model.split(ops[:count])
        for inputs, expected in runs:
            assert same(through(segments, inputs), expected), f"cut after {count} ops, batch {len(inputs[0])}"


@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_any_closed_set_gives_the_whole_models_bits(case: Any, data: st.DataObject) -> None:
    graph = case.model.graph
    edge = closure(graph, data.draw(st.sets(st.sampled_from([op.name for op in graph.ops]))))
    inputs = case.inputs(data.draw(st.sampled_from(BATCHES)))
    assert same(through(case.model.split(edge), inputs), whole(case, inputs))


@pytest.mark.parametrize("name", ["residual", "channels-last", "dense", "encoder-decoder", "views"])
def test_channels_last_inputs_give_the_whole_models_bits(case_named: Any, name: str) -> None:
    case = case_named(name)
    inputs = tuple(t.contiguous(memory_format=torch.channels_last) for t in case.inputs(3))
    expected, ops = whole(case, inputs), [op.name for op in case.model.graph.ops]
    for count in range(len(ops) + 1):
        assert same(through(case.model.split(ops[:count]), inputs), expected)


def test_the_cloud_needs_only_what_crosses(case: Any) -> None:
    inputs, ops = case.inputs(3), [op.name for op in case.model.graph.ops]
    expected = whole(case, inputs)
    for count in range(0, len(ops) + 1, 3):
        segments = case.model.split(ops[:count])
        with torch.inference_mode():
            made = segments.prefix(*inputs)
            crossing, kept = made[: len(segments.boundary)], made[len(segments.boundary) :]
            assert same(segments.assemble(kept, segments.cloud(*crossing)), expected)


def test_segments_work_outside_inference_mode(residual: Any) -> None:
    inputs = residual.inputs(2)
    segments = residual.model.split([op.name for op in residual.model.graph.ops[:3]])
    assert same(segments.suffix(*segments.prefix(*inputs)), whole(residual, inputs))


def test_edge_only_sends_nothing(case: Any) -> None:
    segments = case.model.split(op.name for op in case.model.graph.ops)
    assert segments.boundary == ()
    assert segments.kept == tuple(dict.fromkeys(case.model.graph.outputs))


def test_cloud_only_sends_the_inputs_that_ops_read(case_named: Any) -> None:
    assert case_named("multi-input").model.split(()).boundary == ("image", "vector")


def test_a_model_input_that_cloud_ops_read_crosses(case_named: Any) -> None:
    model = case_named("encoder-decoder").model
    ops = [op.name for op in model.graph.ops]
    assert model.split(ops[:-1]).boundary[0] == "x"  # the last op adds the picture again


def test_outputs_made_on_the_edge_are_kept_though_the_cloud_reads_them_too(case_named: Any) -> None:
    model = case_named("early-output").model
    early, source = model.graph.outputs[1], model.graph.inputs[0]
    segments = model.split([model.graph.ops[0].name])
    assert segments.boundary == (early,)
    assert segments.kept == (early, source)


def test_an_input_that_is_an_output_is_kept_when_all_runs_in_the_cloud(case_named: Any) -> None:
    segments = case_named("early-output").model.split(())
    assert (segments.boundary, segments.kept) == (("x",), ("x",))


def test_boundary_stands_in_the_order_in_which_tensors_are_made(case: Any) -> None:
    graph = case.model.graph
    order = [*graph.inputs, *(name for op in graph.ops for name in op.outputs)]
    for count in range(len(graph.ops) + 1):
        boundary = graph.boundary(op.name for op in graph.ops[:count])
        assert list(boundary) == sorted(boundary, key=order.index)


def test_segments_share_the_models_weights(residual: Any) -> None:
    segments = residual.model.split([op.name for op in residual.model.graph.ops[:4]])
    stored = {w.data_ptr() for w in residual.model.weights.values()}
    held = {t.data_ptr() for s in (segments.prefix, segments.suffix) for t in s.module.state_dict().values()}
    assert held
    assert held <= stored


def test_weights_shared_by_layers_are_stored_once(case_named: Any) -> None:
    shapes = [tuple(w.shape) for w in case_named("shared-weights").model.weights.values()]
    assert shapes.count((11, 8)) == 1


def test_a_set_that_is_not_closed_names_the_missing_predecessor(residual: Any) -> None:
    first, second = residual.model.graph.ops[:2]
    with pytest.raises(InvalidPlan, match=f"{second.name!r}.*{first.name!r}"):
        residual.model.split([second.name])


def test_an_unknown_op_is_refused(residual: Any) -> None:
    with pytest.raises(InvalidPlan, match="no op 'nonsense'"):
        residual.model.split(["nonsense"])


def test_splitting_twice_gives_the_same_code(case: Any) -> None:
    ops = [op.name for op in case.model.graph.ops[:4]]
    first, second = case.model.split(ops), case.model.split(reversed(ops))
    assert [s.module.code for s in (first.prefix, first.suffix)] == [
        s.module.code for s in (second.prefix, second.suffix)
    ]
