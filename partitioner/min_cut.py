"""The best cut of a `CutProblem`: an exact minimum s-t cut.

Exactness. Costs are floats that may span many decades, the flow solver counts in integers. So:

1. Any cut's value U bounds the best one; what costs more than U can be in no better cut and becomes infinite. The first
   U comes from a walk along the infinite arcs alone, which also finds infeasible problems.
2. The other capacities are rounded to multiples of u = 2**(k - 60), where 2**(k - 1) <= U < 2**k, and
   that integer problem is solved exactly (`exact_flow`). A float of at least U / 128 is such a multiple
   already. The cut found costs at most (arcs) * u more than the best.
3. Its float value V becomes the next U until (arcs) * u <= 1e-12 * V: about one round for each 14 decades between the
   first U and the optimum, nearly always one. Rounds also end once V no longer halves, where (arcs) * u is at most
   (arcs) * 2**-58 * V: that is above 1e-12 for more than 250,000 arcs only.

Duality (Ford and Fulkerson 1956) proves the integer optimum in step 2; steps 1 and 3 need no trust in any solver's
floats. The fixed cost breaks no exactness: with F paid by every cut except edge-only, the best cut without F is either
edge-only, and so best with F too, or it is the best of the others, and one comparison decides.

Cost: dominated by Dinic's algorithm, about a millisecond a round for 1,000 ops.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import InfeasibleCut
from partitioner.cut_network import build_network
from partitioner.cut_problem import CutProblem, CutSolution, boundary_of, total_of
from partitioner.exact_flow import maximal_minimum_cut
from partitioner.flow_network import FlowNetwork

__all__ = ["minimum_source_side", "solve"]

_UNIT_BITS = 60
_FORBIDDEN = 1 << (_UNIT_BITS + 1)
_RELATIVE_ERROR = 1e-12


def solve(problem: CutProblem) -> CutSolution:
    """The cut of least total cost, within 1e-12 of the exact optimum; ties go to the cut with the most edge ops.

    Edge-only wins a tie against any cut. Deterministic, whatever the order of ops and tensors.
    Raises InfeasibleCut where every cut costs infinity.
    """
    everything = frozenset(op.name for op in problem.ops)
    edge_only = CutSolution(everything, (), math.fsum(op.edge_s for op in problem.ops))
    best = edge_only if problem.fixed_s == math.inf else min(edge_only, _best_cut(problem), key=_total_s)
    if not math.isfinite(best.total_s):
        raise InfeasibleCut()
    return best


def _total_s(solution: CutSolution) -> float:
    return solution.total_s


def _best_cut(problem: CutProblem) -> CutSolution:
    """The best cut without the fixed cost, with its cost, fixed cost included."""
    source_side = minimum_source_side(build_network(problem))
    if source_side is None:
        raise InfeasibleCut()
    edge = frozenset(op.name for op, on_edge in zip(problem.ops, source_side.tolist(), strict=False) if on_edge)
    return CutSolution(edge, boundary_of(problem, edge), total_of(problem, edge))


def minimum_source_side(network: FlowNetwork, known: NDArray[np.bool_] | None = None) -> NDArray[np.bool_] | None:
    """The source side of the minimum cut with the largest one, one bool a node; None where every cut is infinite.

    known: the source side of any finite cut, the cheaper the better.
    """
    start = _cheapest_forced_side(network) if known is None else known
    return None if start is None else _refine(network, start)


def _cheapest_forced_side(network: FlowNetwork) -> NDArray[np.bool_] | None:
    """The cheaper of the two extreme finite cuts: all that may go to one side goes there. None: there is no cut."""
    is_infinite = np.isinf(network.capacity)
    smallest = network.reached_from_source(is_infinite)
    if smallest[network.sink]:
        return None
    return min(smallest, ~network.reaching_sink(is_infinite), key=network.cut_value)


def _refine(network: FlowNetwork, source_side: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The minimum cut, from any finite cut: steps 2 and 3 of the module's text."""
    value, error, bound = network.cut_value(source_side), math.inf, math.inf
    while error > _RELATIVE_ERROR * value and value < bound / 2:
        bound = value
        capacity = _to_integers(network.capacity, bound)
        limit = sum(capacity[network.crossing(source_side)].tolist())
        source_side = maximal_minimum_cut(network, capacity, limit)
        value, error = network.cut_value(source_side), _rounding_error(network, bound)
    return source_side


def _to_integers(capacity: NDArray[np.float64], bound: float) -> NDArray[np.int64]:
    """Capacities as multiples of the unit, those above `bound` forbidden."""
    exponent = math.frexp(bound)[1]
    units = np.rint(np.ldexp(np.minimum(capacity, bound), _UNIT_BITS - exponent)).astype(np.int64)
    return np.where(capacity > bound, _FORBIDDEN, units)


def _rounding_error(network: FlowNetwork, bound: float) -> float:
    """The most that rounding can make a cut look better or worse than another, in seconds."""
    if bound == 0.0:
        return 0.0
    return len(network.capacity) * math.ldexp(1.0, math.frexp(bound)[1] - _UNIT_BITS)
