"""The cut problem on plain numbers: what to pay for each op and tensor, and what a cut of it costs.

total = sum of edge_s over the edge ops + sum of cloud_s over the rest
      + uplink_s once for each tensor that the edge has (an input, or made by an edge op) and some cloud op consumes
      + downlink_s for each output made in the cloud
      + fixed_s if any op runs in the cloud.

Sums are `math.fsum`: correctly rounded, so they do not depend on the order of ops.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from isthmus.errors import InvalidInput, InvalidPlan

__all__ = ["CutProblem", "CutSolution", "OpCost", "TensorCost", "evaluate", "validate_cut"]

# Sums of some thousand finite costs must stay finite; far above any real cost.
_LARGEST_COST_S = 1e150
_RELATIVE_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class OpCost:
    """What one op costs on either side, in seconds (or any other additive unit).

    `math.inf` forbids the side. Raises InvalidInput on a NaN, negative or absurdly large cost.
    """

    name: str
    edge_s: float
    cloud_s: float

    def __post_init__(self) -> None:
        _check_name(self.name, "op")
        object.__setattr__(self, "edge_s", _cost(self.edge_s, f"op {self.name!r}: edge_s"))
        object.__setattr__(self, "cloud_s", _cost(self.cloud_s, f"op {self.name!r}: cloud_s"))


@dataclass(frozen=True, slots=True)
class TensorCost:
    """What one tensor costs when it crosses.

    producer: the op that makes it; None for a model input, which starts on the edge.
    consumers: the ops that read it (a name given twice counts once).
    uplink_s: paid once when the edge has it and some cloud op reads it; `math.inf` forbids that.
    is_output, downlink_s: an output made in the cloud pays downlink_s; `math.inf` forbids that. A model input that is
        also an output is on the edge already and pays nothing.
    Raises InvalidInput on a NaN, negative or absurdly large cost.
    """

    name: str
    producer: str | None
    consumers: Sequence[str]
    uplink_s: float
    is_output: bool = False
    downlink_s: float = 0.0

    def __post_init__(self) -> None:
        _check_name(self.name, "tensor")
        if isinstance(self.consumers, str):
            raise InvalidInput(f"tensor {self.name!r}: consumers", "must be a list of op names", value=self.consumers)
        object.__setattr__(self, "consumers", tuple(dict.fromkeys(self.consumers)))
        object.__setattr__(self, "uplink_s", _cost(self.uplink_s, f"tensor {self.name!r}: uplink_s"))
        object.__setattr__(self, "downlink_s", _cost(self.downlink_s, f"tensor {self.name!r}: downlink_s"))


@dataclass(frozen=True, slots=True)
class CutProblem:
    """A DAG of ops and tensors with their costs, checked when made.

    ops: in any order. tensors: in any order; a cut's boundary is listed in this one.
    fixed_s: paid once if any op runs in the cloud (the round trip).
    Raises InvalidInput on duplicate names, unknown ops, cycles and costs that are none.
    """

    ops: Sequence[OpCost]
    tensors: Sequence[TensorCost]
    fixed_s: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "ops", tuple(self.ops))
        object.__setattr__(self, "tensors", tuple(self.tensors))
        object.__setattr__(self, "fixed_s", _cost(self.fixed_s, "fixed_s"))
        _check_unique([op.name for op in self.ops], "ops")
        _check_unique([tensor.name for tensor in self.tensors], "tensors")
        _check_references(self)
        _check_acyclic(self)


@dataclass(frozen=True, slots=True)
class CutSolution:
    """A cut: `edge_ops` run on the edge, the `boundary` tensors cross, and it costs `total_s`."""

    edge_ops: frozenset[str]
    boundary: tuple[str, ...]
    total_s: float


def evaluate(problem: CutProblem, edge_ops: Iterable[str]) -> float:
    """The total cost in seconds of running `edge_ops` on the edge and the rest in the cloud; `inf` when forbidden.

    Raises InvalidInput for an op that is not in the problem, InvalidPlan where `edge_ops` is not closed under
    predecessors.
    """
    edge = _checked_cut(problem, edge_ops)
    return total_of(problem, edge)


def total_of(problem: CutProblem, edge: frozenset[str]) -> float:
    """`evaluate` of a set that is known to be closed."""
    terms = [op.edge_s if op.name in edge else op.cloud_s for op in problem.ops]
    for tensor in problem.tensors:
        if tensor.producer is None or tensor.producer in edge:
            if not edge.issuperset(tensor.consumers):
                terms.append(tensor.uplink_s)
        elif tensor.is_output:
            terms.append(tensor.downlink_s)
    if len(edge) < len(problem.ops):
        terms.append(problem.fixed_s)
    return math.fsum(terms)


def boundary_of(problem: CutProblem, edge_ops: frozenset[str]) -> tuple[str, ...]:
    """The tensors that cross when `edge_ops` run on the edge, in the problem's order."""
    return tuple(
        tensor.name
        for tensor in problem.tensors
        if (tensor.producer is None or tensor.producer in edge_ops) and not edge_ops.issuperset(tensor.consumers)
    )


def validate_cut(problem: CutProblem, solution: CutSolution) -> None:
    """Check that `solution` is a cut of `problem`: closed, its boundary right, its cost finite and the sum it claims.

    What every solver's answer must pass. Raises InvalidInput or InvalidPlan naming the first fault.
    """
    total_s = evaluate(problem, solution.edge_ops)
    boundary = boundary_of(problem, solution.edge_ops)
    if solution.boundary != boundary:
        raise InvalidPlan("boundary", f"should be {boundary!r}", value=solution.boundary)
    if not math.isfinite(total_s):
        raise InvalidPlan("edge_ops", "is a forbidden cut", value=sorted(solution.edge_ops))
    if not math.isclose(solution.total_s, total_s, rel_tol=_RELATIVE_TOLERANCE, abs_tol=0.0):
        raise InvalidPlan("total_s", f"should be {total_s!r}", value=solution.total_s)


def _checked_cut(problem: CutProblem, edge_ops: Iterable[str]) -> frozenset[str]:
    edge = frozenset(edge_ops)
    unknown = edge.difference(op.name for op in problem.ops)
    if unknown:
        raise InvalidInput("edge_ops", "names ops that are not in the problem", value=sorted(unknown, key=str))
    for tensor in problem.tensors:
        if tensor.producer is not None and tensor.producer not in edge and not edge.isdisjoint(tensor.consumers):
            inside = next(op for op in tensor.consumers if op in edge)
            raise InvalidPlan("edge_ops", f"holds {inside!r} without its predecessor {tensor.producer!r}")
    return edge


def _cost(value: float, field: str) -> float:
    try:
        cost = float(value)
    except (TypeError, ValueError):
        raise InvalidInput(field, "must be a number of seconds", value=value) from None
    if 0.0 <= cost <= _LARGEST_COST_S or cost == math.inf:
        return cost
    remedy = "write math.inf for what is forbidden" if cost > 0 else "costs are zero or more"
    raise InvalidInput(field, "is not a cost", value=value, remedy=remedy)


def _check_name(name: str, what: str) -> None:
    if not isinstance(name, str) or not name:
        raise InvalidInput(f"{what} name", "must be a non-empty text", value=name)


def _check_unique(names: list[str], field: str) -> None:
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise InvalidInput(field, "holds a name twice", value=twice, remedy="give each its own name")


def _check_references(problem: CutProblem) -> None:
    known = {op.name for op in problem.ops}
    for tensor in problem.tensors:
        if tensor.producer is not None and tensor.producer not in known:
            raise InvalidInput(f"tensor {tensor.name!r}: producer", "is not an op", value=tensor.producer)
        if not known.issuperset(tensor.consumers):
            stranger = next(op for op in tensor.consumers if op not in known)
            raise InvalidInput(f"tensor {tensor.name!r}: consumers", "names an unknown op", value=stranger)


def _check_acyclic(problem: CutProblem) -> None:
    followers, waiting = _adjacency(problem)
    ready = [name for name, count in waiting.items() if count == 0]
    while ready:
        for follower in followers[ready.pop()]:
            waiting[follower] -= 1
            if waiting[follower] == 0:
                ready.append(follower)
    stuck = sorted(name for name, count in waiting.items() if count > 0)
    if stuck:
        raise InvalidInput("ops", "feed each other in a cycle", value=stuck, remedy="a model graph has no cycles")


def _adjacency(problem: CutProblem) -> tuple[Mapping[str, list[str]], dict[str, int]]:
    """Consumers of each op's tensors, and for each op the number of produced tensors that it reads."""
    followers: dict[str, list[str]] = {op.name: [] for op in problem.ops}
    waiting = dict.fromkeys(followers, 0)
    for tensor in problem.tensors:
        if tensor.producer is not None:
            followers[tensor.producer].extend(tensor.consumers)
            for consumer in tensor.consumers:
                waiting[consumer] += 1
    return followers, waiting
