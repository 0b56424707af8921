"""Minimum cuts of a handful of nodes in Python's own integers: no rounds, and cheaper there than any array code.

Shortest augmenting paths (Edmonds and Karp 1972): O(nodes * arcs^2), so for networks that contraction left small.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import pairwise

__all__ = ["nodes_reaching_sink"]

_Residual = list[dict[int, int]]


def nodes_reaching_sink(arcs: Iterable[tuple[int, int, int]], node_count: int, source: int, sink: int) -> list[bool]:
    """Which nodes lie on the sink's side of the minimum cut with the largest source side.

    arcs: (tail, head, capacity), at most one from a node to another.
    """
    residual: _Residual = [{} for _ in range(node_count)]
    for tail, head, capacity in arcs:
        residual[tail][head] = residual[tail].get(head, 0) + capacity
        residual[head].setdefault(tail, 0)
    while True:
        after = _next_towards_sink(residual, sink)
        if after[source] < 0:
            return [step >= 0 for step in after]
        _augment(residual, after, source, sink)


def _next_towards_sink(residual: _Residual, sink: int) -> list[int]:
    """The next node of a shortest open path to the sink, -1 where there is none; the sink's own is itself."""
    after = [-1] * len(residual)
    after[sink] = sink
    waiting = deque([sink])
    while waiting:
        head = waiting.popleft()
        for tail in residual[head]:
            if after[tail] < 0 and residual[tail][head] > 0:
                after[tail] = head
                waiting.append(tail)
    return after


def _augment(residual: _Residual, after: list[int], source: int, sink: int) -> None:
    path = [source]
    while path[-1] != sink:
        path.append(after[path[-1]])
    steps = list(pairwise(path))
    amount = min(residual[tail][head] for tail, head in steps)
    for tail, head in steps:
        residual[tail][head] -= amount
        residual[head][tail] += amount
