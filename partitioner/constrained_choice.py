"""The best cut under an objective and constraints, and all that are the best under some weights: minimum cuts where
they decide, else searches with a gap."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import networkx as nx

from isthmus.errors import InfeasibleCut
from partitioner.axis_costs import Axes
from partitioner.bounded_search import SearchResult, Task, search
from partitioner.branching import Branching
from partitioner.constraints import Constraints, pinned
from partitioner.cut_problem import OpCost
from partitioner.graph import ModelGraph
from partitioner.lagrange import Budget, Lagrangian, PricedStage
from partitioner.memory import MemoryModel
from partitioner.objectives import Objective, Stage
from partitioner.parametric_problem import CutChoice, ParametricProblem, ParametricTensor, Transfer
from partitioner.pseudo_names import CLOUD_WEIGHT, EDGE_WEIGHT
from partitioner.supported_cuts import SupportedCut, Weights, supported_answers, supported_cuts
from partitioner.weighted_cuts import Pins, WeightedCuts

__all__ = ["ConstrainedChoice", "NothingInTime", "secrets_sent"]

_Amounts = tuple[float, ...]
_UNPRICED = Objective("", "", (Stage(),))


class NothingInTime(InfeasibleCut):
    """The time for the search is over, and it had found no cut; there may be one."""

    def __init__(self) -> None:
        super().__init__(
            "constraints",
            "no plan that keeps to them was found in time",
            remedy="allow more time (isthmus partition --time-limit), or relax one of them",
        )

    def __reduce__(self) -> tuple[object, ...]:
        return NothingInTime, ()


@dataclass(frozen=True)
class ConstrainedChoice:
    """Cuts of `problem`, whose ops are those of `graph` and perhaps pseudo-ops, under constraints at a batch size."""

    problem: ParametricProblem
    graph: ModelGraph
    constraints: Constraints
    batch: int = 1

    def best(self, objective: Objective, is_over: Callable[[], bool]) -> SearchResult:
        """The best cut found before `is_over` says so (asked between steps), with its gap. Raises InfeasibleCut."""
        problem = pinned(self.problem, self.graph, self.constraints)
        if len(objective.stages) == 1 and not self.constraints.has_budget:
            found = _by_minimum_cut(problem, objective)
            if found.choice is None or not secrets_sent(problem, self.graph, found.choice.edge_ops):
                return found
        ledger = _Ledger(problem, MemoryModel(self.graph, self.batch), self.constraints)
        found = search(ledger.task(objective), is_over)
        choice = None if found.choice is None else ledger.without_pseudo_ops(found.choice)
        return replace(found, choice=choice)

    def all_best(self, downlink_ratio: float, is_over: Callable[[], bool]) -> tuple[tuple[SupportedCut, ...], float]:
        """The cuts that are the best under some weights of the three axes (`supported_cuts`), and the gap: by which
        share a better one may beat them somewhere.

        is_over: asked between steps; once it says so, what is not proven goes into the gap. Raises InfeasibleCut where
        there is none, or none was found in time.
        """
        problem = pinned(self.problem, self.graph, self.constraints)
        if not self.constraints.has_budget:
            free = supported_cuts(problem, downlink_ratio)
            if not any(secrets_sent(problem, self.graph, cut.choice.edge_ops) for cut in free):
                return free, 0.0
        ledger = _Ledger(problem, MemoryModel(self.graph, self.batch), self.constraints)
        limited = _LimitedCuts(ledger.task(_UNPRICED), downlink_ratio, is_over)
        found = supported_answers(problem, downlink_ratio, limited.solve)
        cuts = tuple(replace(cut, choice=ledger.without_pseudo_ops(cut.choice)) for cut in found)
        return cuts, limited.gap

    def admits(self, edge_ops: frozenset[str], wire_bytes: float) -> bool:
        """Whether a cut of the graph that sends so many bytes keeps to pins, privacy and budgets."""
        problem, memory = pinned(self.problem, self.graph, self.constraints), MemoryModel(self.graph, self.batch)
        ops = (op.edge_s if op.name in edge_ops else op.cloud_s for op in problem.ops if op.name in memory.weights_of)
        rules = self.constraints
        return (
            all(map(math.isfinite, ops))
            and not secrets_sent(problem, self.graph, edge_ops)
            and wire_bytes <= rules.wire_bytes
            and keeps_memory(memory, rules, edge_ops)
        )


def secrets_sent(problem: ParametricProblem, graph: ModelGraph, edge_ops: frozenset[str]) -> list[str]:
    """What a cut of the graph (pseudo-ops may be in it) sends although it must not cross: of a minimum cut's answer a
    tensor that joins only to tell the cloud the batch size (`ModelGraph.boundary`), which no minimum cut sees."""
    real = frozenset(op.name for op in graph.ops if op.name in edge_ops)
    hidden = {tensor.name for tensor in problem.tensors if not tensor.uplink}
    return [name for name in graph.boundary(real) if name in hidden] if hidden else []


def keeps_memory(memory: MemoryModel, rules: Constraints, edge_ops: frozenset[str]) -> bool:
    """Whether a cut of the graph fits both sides."""
    if rules.edge_memory_bytes < math.inf and memory.edge(edge_ops) > rules.edge_memory_bytes:
        return False
    return rules.cloud_memory_bytes == math.inf or memory.cloud(edge_ops) <= rules.cloud_memory_bytes


def _by_minimum_cut(problem: ParametricProblem, objective: Objective) -> SearchResult:
    """Edge-only pays no crossing; the best of the others is a minimum cut, or loses to edge-only too (`min_cut`)."""
    cut = WeightedCuts(problem, _amount_axes({}, frozenset())).solve((*objective.stages[0].prices, 0.0, 0.0)).choice
    everything = problem.choice([op.name for op in problem.ops], {}, {})
    both = [cut] if problem.cloud_required or math.isinf(everything.costs.edge_s) else [everything, cut]
    values = [objective.value(one.costs, len(one.edge_ops) < len(problem.ops)) for one in both]
    best = min(range(len(both)), key=values.__getitem__)
    return SearchResult(both[best], values[best], values[best])


@dataclass(frozen=True, slots=True)
class _LimitedCut:
    choice: CutChoice


@dataclass(slots=True)
class _LimitedCuts:
    """The best of what the task allows, under any weights of the three axes; the largest gap of the answers."""

    task: Task
    downlink_ratio: float
    is_over: Callable[[], bool]
    gap: float = field(default=0.0, init=False)

    def solve(self, weights: Weights, near: _LimitedCut | None) -> _LimitedCut:
        """One search. What all of them found bounds each of them."""
        edge_s, wire_bytes, cloud_s = weights
        prices = (edge_s, wire_bytes, wire_bytes * self.downlink_ratio, cloud_s, 0.0, 0.0)
        task = replace(self.task, lagrangian=replace(self.task.lagrangian, stages=(PricedStage(prices),)))
        found = search(task, self.is_over, None if near is None else near.choice)
        if found.choice is None:
            raise InfeasibleCut() if found.bound == math.inf else NothingInTime()
        self.gap = max(self.gap, found.gap)
        return _LimitedCut(found.choice)


@dataclass(frozen=True)
class _Ledger:
    """Counts what cuts take: edge seconds, bytes up, bytes down, cloud seconds, parameter bytes on either side."""

    problem: ParametricProblem
    memory: MemoryModel
    constraints: Constraints

    def task(self, objective: Objective) -> Task:
        """What the search needs."""
        wide = self._with_shared_weights() if self.constraints.has_memory_budget else self.problem
        wide = replace(wide, cloud_required=False)
        everything = wide.choice([op.name for op in wide.ops], {}, {})
        has_edge_only = not self.problem.cloud_required and math.isfinite(everything.costs.edge_s)
        stages = tuple(PricedStage((*stage.prices, 0.0, 0.0), stage.crossing) for stage in objective.stages)
        lagrangian = Lagrangian(
            WeightedCuts(wide, _amount_axes(self.memory.weights_of, self._shared())),
            self._amounts,
            len(wide.ops),
            stages,
            self._budgets(),
            everything if has_edge_only else None,
        )
        return Task(lagrangian, _branching(wide), self._is_allowed, self._is_hopeless)

    def without_pseudo_ops(self, choice: CutChoice) -> CutChoice:
        """The choice on the problem without shared weights in it."""
        ups = {tensor.name for tensor in self.problem.tensors}
        uplink = {name: way for name, way in choice.uplink.items() if name in ups}
        return self.problem.choice(choice.edge_ops & {op.name for op in self.problem.ops}, uplink, choice.downlink)

    def _real(self, ops: frozenset[str]) -> frozenset[str]:
        return ops & self.memory.weights_of.keys()

    def _amounts(self, choice: CutChoice) -> _Amounts:
        costs, edge = choice.costs, self._real(choice.edge_ops)
        rest = self.memory.weights_of.keys() - edge
        parameters = (self.memory.parameters(edge), self.memory.parameters(rest))
        return (costs.edge_s, costs.uplink_bytes, costs.downlink_bytes, costs.cloud_s, *map(float, parameters))

    def _budgets(self) -> tuple[Budget, ...]:
        """The linear part: of memory the parameters, beside the activations that no cut is without."""
        rules = self.constraints
        inputs = self.memory.edge_at_least(frozenset())
        rows = (
            Budget((0.0, 1.0, 1.0, 0.0, 0.0, 0.0), rules.wire_bytes),
            Budget((0.0, 0.0, 0.0, 0.0, 1.0, 0.0), rules.edge_memory_bytes - inputs),
            Budget((0.0, 0.0, 0.0, 0.0, 0.0, 1.0), rules.cloud_memory_bytes),
        )
        return tuple(budget for budget in rows if budget.limit < math.inf)

    def _is_allowed(self, choice: CutChoice) -> bool:
        rules, edge = self.constraints, self._real(choice.edge_ops)
        if self.problem.cloud_required and len(edge) == len(self.memory.graph.ops):
            return False
        if choice.costs.uplink_bytes + choice.costs.downlink_bytes > rules.wire_bytes:
            return False
        if secrets_sent(self.problem, self.memory.graph, edge):
            return False
        return keeps_memory(self.memory, rules, edge)

    def _is_hopeless(self, pins: Pins) -> bool:
        rules, edge, cloud = self.constraints, self._real(pins.edge), self._real(pins.cloud)
        if rules.edge_memory_bytes < math.inf and self.memory.edge_at_least(edge, cloud) > rules.edge_memory_bytes:
            return True
        return rules.cloud_memory_bytes < math.inf and self.memory.cloud_at_least(cloud) > rules.cloud_memory_bytes

    def _shared(self) -> frozenset[str]:
        """The weights that several ops read."""
        read = Counter(name for weights in self.memory.weights_of.values() for name in weights)
        return frozenset(name for name, readers in read.items() if readers > 1)

    def _with_shared_weights(self) -> ParametricProblem:
        """Each shared weight as two pseudo-ops: before its readers, on the edge if one of them is; and after them."""
        ops, tensors = list(self.problem.ops), list(self.problem.tensors)
        free = (Transfer("", 0.0, 0.0, 0.0),)
        for weight in sorted(self._shared()):
            readers = tuple(op for op, weights in self.memory.weights_of.items() if weight in weights)
            ops += [OpCost(f"{EDGE_WEIGHT}{weight}", 0.0, 0.0), OpCost(f"{CLOUD_WEIGHT}{weight}", 0.0, 0.0)]
            tensors.append(ParametricTensor(f"{EDGE_WEIGHT}{weight}", f"{EDGE_WEIGHT}{weight}", readers, free))
            tensors += [
                ParametricTensor(f"{CLOUD_WEIGHT}{weight}:{op}", op, (f"{CLOUD_WEIGHT}{weight}",), free)
                for op in readers
            ]
        return replace(self.problem, ops=tuple(ops), tensors=tuple(tensors))


def _amount_axes(weights_of: dict[str, dict[str, int]], shared: frozenset[str]) -> Axes:
    """The amounts of `_Ledger`; a shared weight is on its pseudo-ops."""
    size_of = {name: size for weights in weights_of.values() for name, size in weights.items()}

    def parameters(op: str, side: str) -> float:
        own = sum(size for name, size in weights_of.get(op, {}).items() if name not in shared)
        weight = op.removeprefix(side) if op.startswith(side) else ""
        return float(own + (size_of[weight] if weight in shared else 0))

    return Axes(
        lambda op: (op.edge_s, 0.0, 0.0, 0.0, parameters(op.name, EDGE_WEIGHT), 0.0),
        lambda op: (0.0, 0.0, 0.0, op.cloud_s, 0.0, parameters(op.name, CLOUD_WEIGHT)),
        lambda way: (way.edge_s, way.wire_bytes, 0.0, way.cloud_s, 0.0, 0.0),
        lambda way: (way.edge_s, 0.0, way.wire_bytes, way.cloud_s, 0.0, 0.0),
    )


def _branching(problem: ParametricProblem) -> Branching:
    flow = nx.DiGraph()
    flow.add_nodes_from(op.name for op in problem.ops)
    flow.add_edges_from((t.producer, reader) for t in problem.tensors if t.producer for reader in t.consumers)
    order = list(nx.topological_sort(flow))
    ways = {tensor.name: max(len(tensor.uplink), len(tensor.downlink)) for tensor in problem.tensors}
    return Branching(
        order,
        {op: frozenset(nx.ancestors(flow, op)) for op in order},
        {op: frozenset(nx.descendants(flow, op)) for op in order},
        ways,
    )
