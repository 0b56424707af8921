"""A long graph folded into the few stages that a picture can show: repeated blocks, and chains between them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from partitioner.graph import ModelGraph, Op
from partitioner.repeats import Repeat, repeats_in

__all__ = ["Stage", "plain_kind", "stages_of"]

# The kinds that say what a stage does; a stage of none of these is described by whatever it holds.
_TELLING = ("conv", "attention", "lstm", "gru", "embedding", "mm", "linear", "matmul", "pool", "softmax", "norm")
_LONG_NAMES = (
    (re.compile(r"^_?native_batch_norm\w*$"), "batch_norm"),
    (re.compile(r"^native_(\w+)$"), r"\1"),
    (re.compile(r"^scaled_dot_product\w*attention\w*$"), "attention"),
    (re.compile(r"^convolution$"), "conv"),
)
# Of ONNX's operators, in lower case with words apart, as ATen says it; what is quantised is no linear layer.
_ONNX_WORDS = (
    (re.compile(r"(^|_)mat_mul"), r"\1matmul"),
    (re.compile(r"^gemm$"), "linear"),
    (re.compile(r"quantize_linear$"), "quantize"),
    (re.compile(r"normalization$"), "norm"),
    (re.compile(r"^global_(average|max|lp)_pool$"), r"adaptive_\1_pool"),
    (re.compile(r"average_pool$"), "avg_pool"),
)
_WORD_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Stage:
    """Consecutive ops of one side, in order. repeats: of how many equal blocks in a row they are.

    label: the kinds of ops in one block, most telling first. flops: of the whole request. reads: the earlier stages
    whose tensors it takes. output_bytes: what it hands on.
    """

    label: tuple[str, ...]
    on_edge: bool
    ops: tuple[str, ...]
    repeats: int
    flops: int
    output_bytes: int
    reads: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Run:
    ops: tuple[Op, ...]
    repeats: int = 1


def stages_of(graph: ModelGraph, edge_ops: frozenset[str], most: int, batch: int = 1) -> tuple[Stage, ...]:
    """The ops, edge first, as at most `most` (2 or more) stages that never mix the sides.

    Blocks whose kinds of ops repeat in a row are one stage; what is between them is cut where the fewest bytes pass on.
    batch: the items that FLOPs and bytes are of.
    """
    order = [*(op for op in graph.ops if op.name in edge_ops), *(op for op in graph.ops if op.name not in edge_ops)]
    edge_count = len(edge_ops)
    edge_most = _edge_share(edge_count, len(order), most)
    fewest = len(order) // (2 * most)
    runs = [
        *_folded(graph, order[:edge_count], edge_most, fewest),
        *_folded(graph, order[edge_count:], most - edge_most, fewest),
    ]
    stage_of = {op.name: i for i, run in enumerate(runs) for op in run.ops}
    return tuple(_stage(graph, run, i, stage_of, edge_ops, batch) for i, run in enumerate(runs))


def _edge_share(edge_count: int, total: int, most: int) -> int:
    """How many of `most` stages the edge gets: by its ops, but one at least for a side that has any."""
    if edge_count in (0, total):
        return most if edge_count else 0
    return min(max(1, round(most * edge_count / total)), most - 1)


def _folded(graph: ModelGraph, ops: Sequence[Op], most: int, fewest: int) -> list[_Run]:
    """At most `most` runs; none but what no other fits holds fewer than `fewest` ops, so that none shows a detail."""
    if len(ops) <= most:
        return [_Run((op,)) for op in ops]
    widths = _live_bytes(graph, ops)
    repeats = list(repeats_in([op.kind for op in ops], max(4, fewest), lambda i: widths[i - 1] if i else 0))
    while repeats and len(_spans(repeats, len(ops))) > most:
        repeats.remove(min(repeats, key=lambda repeat: repeat.stop - repeat.start))
    spans = _spans(repeats, len(ops))
    shares = _shares([0 if repeat else stop - start for start, stop, repeat in spans], most, max(1, fewest))
    runs: list[_Run] = []
    for (start, stop, repeat), share in zip(spans, shares, strict=True):
        if repeat is not None:
            runs.append(_Run(tuple(ops[start:stop]), repeat.count))
        else:
            runs.extend(_Run(tuple(ops[a:b])) for a, b in _chains(widths, start, stop, share))
    return runs


def _spans(repeats: Sequence[Repeat], length: int) -> list[tuple[int, int, Repeat | None]]:
    """The repeats and what is between them, in order."""
    spans: list[tuple[int, int, Repeat | None]] = []
    at = 0
    for repeat in repeats:
        spans += [(at, repeat.start, None), (repeat.start, repeat.stop, repeat)]
        at = repeat.stop
    spans.append((at, length, None))
    return [(start, stop, repeat) for start, stop, repeat in spans if start < stop]


def _shares(lengths: Sequence[int], most: int, fewest: int) -> list[int]:
    """Stages for spans of those lengths: one each, the rest to the span whose stages are the longest."""
    shares = [1] * len(lengths)
    for _ in range(most - len(lengths)):
        longest = max(range(len(lengths)), key=lambda i: lengths[i] / shares[i])
        if lengths[longest] <= shares[longest] * fewest:
            break
        shares[longest] += 1
    return shares


def _chains(widths: Sequence[int], start: int, stop: int, most: int) -> list[tuple[int, int]]:
    """start..stop in at most `most` runs of like length, each end moved to the narrowest place nearby."""
    step = (stop - start) / most
    ends = {
        _narrowest(widths, start + int((i + 0.75) * step), min(start + int((i + 1.25) * step), stop - 1))
        for i in range(most - 1)
    }
    bounds = [start, *sorted(end for end in ends if start < end < stop), stop]
    return list(pairwise(bounds))


def _narrowest(widths: Sequence[int], start: int, stop: int) -> int:
    """The position in start..stop before which the fewest bytes are live; the last of equals."""
    return min(range(max(1, start), max(start, stop) + 1), key=lambda i: (widths[i - 1], -i), default=start)


def _live_bytes(graph: ModelGraph, ops: Sequence[Op]) -> list[int]:
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
    graph: ModelGraph, run: _Run, index: int, stage_of: Mapping[str, int], edge_ops: frozenset[str], batch: int
) -> Stage:
    producers = (graph.tensors[name].producer for op in run.ops for name in op.inputs)
    reads = {stage_of[producer] for producer in producers if producer is not None} - {index}
    return Stage(
        label=_label(run.ops[: len(run.ops) // run.repeats]),
        on_edge=run.ops[0].name in edge_ops,
        ops=tuple(op.name for op in run.ops),
        repeats=run.repeats,
        flops=sum(op.flops if batch == 1 else op.flops_at(batch) for op in run.ops),
        output_bytes=_handed_on(graph, run.ops, batch),
        reads=tuple(sorted(reads)),
    )


def _handed_on(graph: ModelGraph, run: Sequence[Op], batch: int) -> int:
    inside = {op.name for op in run}
    made = [graph.tensors[name] for op in run for name in op.outputs]
    return sum(t.bytes_at(batch) for t in made if t.is_output or not inside.issuperset(t.consumers))


def _label(block: Sequence[Op]) -> tuple[str, ...]:
    """The kinds that say most about the ops, with how often each occurs, most telling first."""
    kinds = Counter(plain_kind(op.kind) for op in block)
    rank = {kind: next((i for i, word in enumerate(_TELLING) if word in kind), len(_TELLING)) for kind in kinds}
    telling = [kind for kind in kinds if rank[kind] < len(_TELLING)] or list(kinds)
    shown = sorted(telling, key=lambda kind: (rank[kind], -kinds[kind]))
    return tuple(kind if kinds[kind] == 1 else f"{kinds[kind]} {kind}" for kind in shown)


def plain_kind(kind: str) -> str:
    """ "conv" of "aten.convolution.default" and of ONNX's "Conv"."""
    if kind[:1].isupper():  # no name of ATen's begins so
        return _plain_onnx_kind(kind)
    parts = kind.split(".")
    plain = parts[1] if len(parts) > 1 and parts[0] == "aten" else parts[0]
    for pattern, short in _LONG_NAMES:
        plain = pattern.sub(short, plain)
    return plain.strip("_")


def _plain_onnx_kind(kind: str) -> str:
    plain = _WORD_BORDER.sub("_", kind).lower()
    for pattern, word in _ONNX_WORDS:
        plain = pattern.sub(word, plain)
    return plain
