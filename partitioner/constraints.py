"""What a plan must keep to. Pins and privacy are minimum cuts as before; budgets are not (`bounded_search`)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

import networkx as nx

from isthmus.errors import InvalidInput
from isthmus.units import format_size
from partitioner.cut_problem import OpCost
from partitioner.graph import ModelGraph
from partitioner.parametric_problem import ParametricProblem, ParametricTensor
from partitioner.pseudo_names import FILE
from partitioner.raw_tensors import raw_tensors

__all__ = ["BUDGETS", "Constraints", "names_like", "pinned"]

BUDGETS = ("edge_memory_bytes", "cloud_memory_bytes", "wire_bytes")


@dataclass(frozen=True, slots=True)
class Constraints:
    """Limits on the cut itself; none by default. (Inputs that never leave the edge: `Costing.private_input`.)

    edge_ops, cloud_ops: pinned to that side. private_up_to: an op; it and all before it stay on the edge, and of all
    that only what it makes may cross; nor may what other ops make of it, while it still shows it (`raw_tensors`).
    edge_memory_bytes, cloud_memory_bytes: parameters and peak activations
    (`memory`). wire_bytes: up and down together. whole_on: "edge", "cloud" or both: the sides of which one runs every
    op, where a split is not allowed; whole_words: why. Raises InvalidInput for a budget below zero.
    """

    edge_ops: frozenset[str] = frozenset()
    cloud_ops: frozenset[str] = frozenset()
    private_up_to: str = ""
    edge_memory_bytes: float = math.inf
    cloud_memory_bytes: float = math.inf
    wire_bytes: float = math.inf
    whole_on: tuple[str, ...] = field(default=(), kw_only=True)
    whole_words: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        for name in BUDGETS:
            if not getattr(self, name) >= 0:
                raise InvalidInput(name.replace("_", " "), "must be zero or more", value=getattr(self, name))

    @property
    def has_budget(self) -> bool:
        """Whether something is limited that a minimum cut cannot see."""
        return any(getattr(self, name) < math.inf for name in BUDGETS)

    @property
    def has_memory_budget(self) -> bool:
        """Whether either side's memory is limited."""
        return self.edge_memory_bytes < math.inf or self.cloud_memory_bytes < math.inf

    def parts(self) -> dict[str, Constraints]:
        """Each constraint that is set, alone, by the words a person would use for it."""
        nothing, parts = Constraints(), {}
        if self.edge_ops:
            parts["pins to the edge"] = replace(nothing, edge_ops=self.edge_ops)
        if self.cloud_ops:
            parts["pins to the cloud"] = replace(nothing, cloud_ops=self.cloud_ops)
        if self.private_up_to:
            parts[f"privacy up to {self.private_up_to!r}"] = replace(nothing, private_up_to=self.private_up_to)
        if self.whole_on:
            words = self.whole_words or " or ".join(f"{side}-only" for side in self.whole_on)
            parts[words] = replace(nothing, whole_on=self.whole_on, whole_words=self.whole_words)
        for name in BUDGETS:
            limit = getattr(self, name)
            if limit < math.inf:
                words = name.removesuffix("_bytes").replace("_", " ") if "memory" in name else "wire"
                parts[f"{words} {format_size(limit)}"] = replace(nothing, **{name: limit})
        return parts

    def joined(self, other: Constraints) -> Constraints:
        """Both; the tighter of two budgets."""
        return Constraints(
            self.edge_ops | other.edge_ops,
            self.cloud_ops | other.cloud_ops,
            self.private_up_to or other.private_up_to,
            min(self.edge_memory_bytes, other.edge_memory_bytes),
            min(self.cloud_memory_bytes, other.cloud_memory_bytes),
            min(self.wire_bytes, other.wire_bytes),
            whole_on=self.whole_on or other.whole_on,
            whole_words=self.whole_words or other.whole_words,
        )

    def without_budgets(self) -> Constraints:
        """What a minimum cut can see of them."""
        return replace(self, edge_memory_bytes=math.inf, cloud_memory_bytes=math.inf, wire_bytes=math.inf)


def names_like(graph: ModelGraph, name: str) -> str:
    """The ops whose names are nearest to `name`, in words."""
    return ", ".join(get_close_matches(name, [op.name for op in graph.ops], cutoff=0.0))


def pinned(problem: ParametricProblem, graph: ModelGraph, constraints: Constraints) -> ParametricProblem:
    """`problem` (of `graph`) with pins and privacy in it; the budgets are left out.

    Raises InvalidInput naming an op that the model does not have.
    """
    named = {*constraints.edge_ops, *constraints.cloud_ops, *filter(None, [constraints.private_up_to])}
    unknown = sorted(named - {op.name for op in graph.ops})
    if unknown:
        remedy = f"write it as the graph does, like {names_like(graph, unknown[0])}"
        raise InvalidInput("constraints", "name an op that the model lacks", value=unknown[0], remedy=remedy)
    every = frozenset(op.name for op in graph.ops)
    on_edge = every if constraints.whole_on == ("edge",) else constraints.edge_ops
    in_cloud = every if constraints.whole_on == ("cloud",) else constraints.cloud_ops
    # Where no op may hand another one anything over the link, ops that depend on each other are on one side.
    secret = frozenset(name for op in graph.ops for name in op.outputs if len(constraints.whole_on) > 1)
    if constraints.private_up_to:
        last = constraints.private_up_to
        before = frozenset(nx.ancestors(graph.networkx(), last))
        on_edge = on_edge | before | {last}
        secret |= raw_tensors(graph, _read_or_made_by(graph, before, last), before | {last})
    ops = tuple(_pinned_op(op, on_edge, in_cloud) for op in problem.ops)
    return replace(problem, ops=ops, tensors=tuple(_kept_secret(tensor, secret) for tensor in problem.tensors))


def _read_or_made_by(graph: ModelGraph, before: frozenset[str], last: str) -> frozenset[str]:
    """What `last` and the ops before it read: all that must not be seen. What they make besides may not, either."""
    read = {name for op in graph.ops if op.name in before or op.name == last for name in op.inputs}
    return frozenset(read | {name for op in graph.ops if op.name in before for name in op.outputs})


def _pinned_op(op: OpCost, on_edge: frozenset[str], in_cloud: frozenset[str]) -> OpCost:
    edge_s = math.inf if op.name in in_cloud else op.edge_s
    return OpCost(op.name, edge_s, math.inf if op.name in on_edge else op.cloud_s)


def _kept_secret(tensor: ParametricTensor, secret: frozenset[str]) -> ParametricTensor:
    """A file is as secret as the tensor that is made of it."""
    is_secret = tensor.name.removeprefix(FILE) in secret
    return replace(tensor, uplink=()) if is_secret else tensor
