"""Small random parametric problems, and every solution of each by the definition: what the solvers are held against."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from hypothesis import strategies as st

from partitioner.condition import Condition
from partitioner.cut_problem import OpCost
from partitioner.link import Link
from partitioner.parametric_problem import CutChoice, ParametricProblem, ParametricTensor, Transfer

_DECADES = st.floats(-4, 4).map(lambda exponent: 10.0**exponent)
COSTS = st.one_of(st.just(0.0), st.sampled_from([1.0, 2.0, 3.0]), _DECADES)
_OP_COSTS = st.one_of(COSTS, COSTS, COSTS, COSTS, st.just(math.inf))


@st.composite
def problems(draw: st.DrawFn, most_ops: int = 6, *, forbidding: bool = True) -> ParametricProblem:
    """DAGs with several inputs, outputs and readers, and up to three codecs a tensor."""
    names = [f"op{i}" for i in range(draw(st.integers(1, most_ops)))]
    made_by = [*names, *draw(st.lists(st.sampled_from(names), max_size=2))]
    sources: list[str | None] = [*[None] * draw(st.integers(1, 2)), *made_by]
    least_ways = 0 if forbidding else 1
    ways = st.lists(st.builds(Transfer, st.just("codec"), COSTS, COSTS, COSTS), min_size=least_ways, max_size=3).map(
        tuple
    )
    tensors = []
    for i, producer in enumerate(sources):
        after = names if producer is None else names[names.index(producer) + 1 :]
        consumers = tuple(draw(st.lists(st.sampled_from(after), unique=True, max_size=3))) if after else ()
        is_output = not consumers or draw(st.booleans())
        tensors.append(ParametricTensor(f"t{i}", producer, consumers, draw(ways), is_output, draw(ways)))
    seconds = _OP_COSTS if forbidding else COSTS
    ops = tuple(OpCost(name, draw(seconds), draw(seconds)) for name in names)
    return ParametricProblem(ops, tuple(tensors), forbidding and draw(st.booleans()))


@st.composite
def conditions(draw: st.DrawFn, downlink_ratio: float = 1.0) -> Condition:
    """Six decades of bandwidth, four of either load."""
    uplink_bps = 10.0 ** draw(st.floats(-2, 4)) * 8
    loads = st.floats(-2, 2).map(lambda exponent: 10.0**exponent)
    rtt_s = draw(st.one_of(st.just(0.0), st.floats(0, 10)))
    return Condition(Link(uplink_bps, uplink_bps / downlink_ratio, rtt_s), draw(loads), draw(loads))


def every_choice(problem: ParametricProblem) -> Iterator[CutChoice]:
    """Every allowed cut with every way of each tensor that crosses."""
    names = [op.name for op in problem.ops]
    for edge in (set(some) for k in range(len(names) + 1) for some in itertools.combinations(names, k)):
        if _is_cut(problem, edge):
            yield from _choices(problem, edge)


def _is_cut(problem: ParametricProblem, edge: set[str]) -> bool:
    if problem.cloud_required and len(edge) == len(problem.ops):
        return False
    if any(math.isinf(op.edge_s if op.name in edge else op.cloud_s) for op in problem.ops):
        return False
    return all(t.producer is None or t.producer in edge or edge.isdisjoint(t.consumers) for t in problem.tensors)


def _choices(problem: ParametricProblem, edge: set[str]) -> Iterator[CutChoice]:
    up = [t for t in problem.tensors if _on_edge(t, edge) and any(name not in edge for name in t.consumers)]
    down = [t for t in problem.tensors if t.is_output and not _on_edge(t, edge)]
    ways = [range(len(t.uplink)) for t in up] + [range(len(t.downlink)) for t in down]
    for chosen in itertools.product(*ways):
        names = [t.name for t in (*up, *down)]
        pairs = list(zip(names, chosen, strict=True))
        yield problem.choice(edge, dict(pairs[: len(up)]), dict(pairs[len(up) :]))


def _on_edge(tensor: ParametricTensor, edge: set[str]) -> bool:
    return tensor.producer is None or tensor.producer in edge


def seconds(problem: ParametricProblem, choice: CutChoice, condition: Condition) -> float:
    """Its latency, round trip included."""
    crosses = len(choice.edge_ops) < len(problem.ops)
    return choice.costs.seconds(condition) + (condition.link.rtt_s if crosses else 0.0)
