"""`solve` against brute force on random DAGs, and its time on graphs too large for that.

python benchmarks/cut_exactness.py [--quick] [--json]
The value is the largest relative excess of `solve` over the best of all cuts; the goal is 1e-9.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import random
import statistics
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from partitioner import CutProblem, InfeasibleCut, OpCost, TensorCost, solve

SEED = 20260101
GOAL = 1e-9


def random_cost(rng: random.Random, decades: float = 12.0) -> float:
    """Zero, forbidden, one of three values that make ties, or anything over the decades."""
    kind = rng.random()
    if kind < 0.1:
        return 0.0
    if kind < 0.15:
        return math.inf
    if kind < 0.35:
        return float(rng.choice((1, 2, 3)))
    return float(10 ** rng.uniform(-decades / 2, decades / 2))


def random_problem(rng: random.Random, op_count: int) -> CutProblem:
    """Several inputs, outputs and fan-outs, in a random order of ops."""
    names = [f"op{i}" for i in range(op_count)]
    tensors = []
    for i, producer in enumerate([None] * rng.randint(1, 3) + names + rng.sample(names, op_count // 3)):
        after = names[names.index(producer) + 1 :] if producer else names
        consumers = rng.sample(after, min(len(after), rng.choice((0, 1, 1, 2, 3))))
        is_output = not consumers or rng.random() < 0.1
        tensors.append(TensorCost(f"t{i}", producer, consumers, random_cost(rng), is_output, random_cost(rng)))
    ops = [OpCost(name, random_cost(rng), random_cost(rng)) for name in names]
    return CutProblem(rng.sample(ops, op_count), tensors, random_cost(rng) if rng.random() < 0.7 else 0.0)


def brute_force(problem: CutProblem) -> float:
    """The least total of all closed sets: every subset as one bit mask, vectorised; ~1e-15 relative."""
    bit = {op.name: 1 << i for i, op in enumerate(problem.ops)}
    everything = (1 << len(bit)) - 1
    edge = np.arange(everything + 1, dtype=np.int64)
    total = np.where(edge != everything, problem.fixed_s, 0.0)
    for op in problem.ops:
        total = total + np.where(edge & bit[op.name], op.edge_s, op.cloud_s)
    for tensor in problem.tensors:
        readers = sum(bit[name] for name in tensor.consumers)
        made = (edge & bit[tensor.producer]) != 0 if tensor.producer else np.ones(len(edge), dtype=bool)
        total = total + np.where(made & ((edge & readers) != readers), tensor.uplink_s, 0.0)
        total = np.where(~made & ((edge & readers) != 0), math.inf, total)
        total = total + np.where(~made & tensor.is_output, tensor.downlink_s, 0.0)
    return float(total.min())


def excess(problem: CutProblem) -> float:
    """How much `solve` is off, relative to the optimum; infinite where it disagrees on feasibility."""
    least = brute_force(problem)
    try:
        found = solve(problem).total_s
    except InfeasibleCut:
        return 0.0 if math.isinf(least) else math.inf
    if math.isinf(least):
        return math.inf
    return abs(found - least) / least if least else (0.0 if found == 0 else math.inf)


def layered(rng: random.Random, op_count: int, skips: float) -> CutProblem:
    """A network-like graph: a chain with skip connections; `skips` of the tensors have a second reader."""
    tensors = [TensorCost("x", None, ["op0"], 0.5)]
    for i in range(op_count):
        readers = {f"op{i + 1}"} if i + 1 < op_count else set()
        if readers and rng.random() < skips:
            readers.add(f"op{rng.randint(i + 1, min(op_count - 1, i + 12))}")
        tensors.append(TensorCost(f"t{i}", f"op{i}", sorted(readers), rng.uniform(0, 0.1), not readers, 0.01))
    ops = [OpCost(f"op{i}", rng.uniform(0, 0.02), rng.uniform(0, 0.01)) for i in range(op_count)]
    return CutProblem(ops, tensors, 0.03)


def solve_times_ms(op_count: int, skips: float, repeats: int) -> list[float]:
    """Times of `solve` on `repeats` graphs, each the best of three (this machine is shared)."""
    times = []
    for seed in range(repeats):
        problem, runs = layered(random.Random(seed), op_count, skips), []
        for _ in range(3):
            start = time.perf_counter()
            solve(problem)
            runs.append((time.perf_counter() - start) * 1e3)
        times.append(min(runs))
    return times


def measure(quick: bool) -> dict[str, object]:
    """The figure as one object."""
    rng, cases = random.Random(SEED), 400 if quick else 2000
    errors = [excess(random_problem(rng, rng.randint(1, 12))) for _ in range(cases)]
    solve(layered(random.Random(0), 1000, 0.2))
    times = {f"{n}_ops_skips_{skips}": solve_times_ms(n, skips, 5) for n in (1000, 5000) for skips in (0.2, 1.0)}
    thousand_ms = statistics.median(times["1000_ops_skips_0.2"])
    return {
        "figure": "cut_exactness",
        "value": max(errors),
        "low": min(errors),
        "high": max(errors),
        "floor": 2.0**-52,
        "n": cases,
        "goal": GOAL,
        "holds": max(errors) <= GOAL and thousand_ms <= 10.0,
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "seed": SEED,
        "solve_ms": {name: round(statistics.median(values), 2) for name, values in times.items()},
        "goal_ms_at_1000_ops": 10.0,
    }


def main() -> None:
    """Print the figure; exit 1 where it does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="400 graphs instead of 2,000")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    figure = measure(arguments.quick)
    print(json.dumps(figure) if arguments.json else "\n".join(f"{key}: {value}" for key, value in figure.items()))
    sys.exit(0 if figure["holds"] else 1)


if __name__ == "__main__":
    main()
