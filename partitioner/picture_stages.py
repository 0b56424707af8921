"""A long graph folded into a few stages that a picture can show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from partitioner.graph import ModelGraph, Op

__all__ = ["Stage", "stages_of"]

# What a stage is called after, most telling first; an op of none of these is called by its own kind.
_TELLING_KINDS = ("conv", "attention", "mm", "linear", "matmul", "pool", "norm")


@dataclass(frozen=True, slots=True)
class Stage:
    """Consecutive ops of one side. reads: the earlier stages whose tensors it takes. output_bytes: what it hands on."""

    label: str
    on_edge: bool
    op_count: int
    flops: int
    output_bytes: int
    reads: tuple[int, ...]


def stages_of(graph: ModelGraph, edge_ops: frozenset[str], most: int) -> tuple[Stage, ...]:
    """The ops, edge first, in runs that end where the fewest bytes pass on, at most `most` (2 or more) in all."""
    order = [*(op for op in graph.ops if op.name in edge_ops), *(op for op in graph.ops if op.name not in edge_ops)]
    edge_count = len(edge_ops)
    edge_most = _edge_share(edge_count, len(order), most)
    runs = [*_runs(graph, order[:edge_count], edge_most), *_runs(graph, order[edge_count:], most - edge_most)]
    stage_of = {op.name: i for i, run in enumerate(runs) for op in run}
    return tuple(_stage(graph, run, i, stage_of, edge_ops) for i, run in enumerate(runs))


def _edge_share(edge_count: int, total: int, most: int) -> int:
    """How many of `most` stages the edge gets: by its ops, but one at least for a side that has any."""
    if edge_count in (0, total):
        return most if edge_count else 0
    return min(max(1, round(most * edge_count / total)), most - 1)


def _runs(graph: ModelGraph, ops: list[Op], most: int) -> list[list[Op]]:
    """Cut `ops` into at most `most` runs of like length, each end moved to the narrowest place nearby."""
    if len(ops) <= most:
        return [[op] for op in ops]
    widths = _live_bytes(graph, ops)
    step = len(ops) / most
    ends = {_narrowest(widths, int((i + 0.75) * step), int((i + 1.25) * step)) for i in range(most - 1)}
    bounds = [0, *sorted(ends), len(ops)]
    return [ops[a:b] for a, b in pairwise(bounds) if a < b]


def _narrowest(widths: list[int], start: int, stop: int) -> int:
    """The position in start..stop after which the fewest bytes are live; the last of equals."""
    places = range(max(1, start), max(start + 1, min(stop, len(widths) - 1)) + 1)
    return min(places, key=lambda i: (widths[i - 1], -i))


def _live_bytes(graph: ModelGraph, ops: list[Op]) -> list[int]:
    """After each op: the bytes of all tensors made so far that a later op reads."""
    last_use = {name: i for i, op in enumerate(ops) for name in op.inputs}
    change = [0] * (len(ops) + 1)
    for i, op in enumerate(ops):
        for name in op.outputs:
            end = last_use.get(name, i)
            change[i] += graph.tensors[name].bytes
            change[end] -= graph.tensors[name].bytes
    live, result = 0, []
    for delta in change[: len(ops)]:
        live += delta
        result.append(live)
    return result


def _stage(
    graph: ModelGraph, run: list[Op], index: int, stage_of: Mapping[str, int], edge_ops: frozenset[str]
) -> Stage:
    producers = (graph.tensors[name].producer for op in run for name in op.inputs)
    reads = {stage_of[producer] for producer in producers if producer is not None} - {index}
    return Stage(
        label=_label(run),
        on_edge=run[0].name in edge_ops,
        op_count=len(run),
        flops=sum(op.flops for op in run),
        output_bytes=_handed_on(graph, run),
        reads=tuple(sorted(reads)),
    )


def _handed_on(graph: ModelGraph, run: list[Op]) -> int:
    inside = {op.name for op in run}
    made = [graph.tensors[name] for op in run for name in op.outputs]
    return sum(t.bytes for t in made if t.is_output or not inside.issuperset(t.consumers))


def _label(run: list[Op]) -> str:
    """The kind that says most about the stage, with how often it occurs."""
    for word in _TELLING_KINDS:
        kinds = [_plain(op.kind) for op in run if word in op.kind]
        if kinds:
            return kinds[0] if len(kinds) == 1 else f"{len(kinds)} x {kinds[0]}"
    return _plain(run[-1].kind)


def _plain(kind: str) -> str:
    """ "convolution" of "aten.convolution.default"."""
    parts = kind.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "aten" else parts[0]
