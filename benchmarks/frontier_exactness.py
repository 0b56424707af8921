"""The frontier of every test model: its best plan against fresh solves, its time, and the sizes of its menus.

python benchmarks/frontier_exactness.py [--quick] [--json] [--record]
The value is the largest relative excess of the frontier's best plan over a fresh solve, at random conditions; the goal
is 1e-9, with 150 ms for each frontier, menus of 6 cuts within 2 % and 16 within 1 %. Costs are stated, not measured: a
roofline of two devices with a random factor for each op (neither the result nor the time should depend on them much).
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch

from benchmarks.figure import Figure, machine, parse_options, report
from isthmus.api import load_model
from partitioner.condition import Condition
from partitioner.cost_model import Costing, model_costs
from partitioner.front_end import model_from_module
from partitioner.frontier import Frontier, frontier_of
from partitioner.link import Link
from partitioner.measurements import CodecRate, Measurement, OpTimes, Provenance
from partitioner.menu import menu_of
from partitioner.min_cut import solve
from partitioner.model import Model
from partitioner.parametric_model import parametric_model
from partitioner.profiles import DeviceProfile
from partitioner.setting import Setting
from partitioner.supported_cuts import supported_cuts
from tests.partitioner.conftest import ARCHITECTURES

GOAL, GOAL_MS, GOAL_CUTS = 1e-9, 150.0, {0.02: 6, 0.01: 16}
# Seconds a byte and seconds a tensor of encoding and of decoding, of the order of what this project measured.
RATES = {
    "raw": CodecRate(1e-10, 1e-6, 1e-10, 1e-6),
    "zstd": CodecRate(2e-9, 1e-5, 1e-9, 1e-5),
    "int8": CodecRate(1e-9, 2e-5, 1e-9, 2e-5),
    "png": CodecRate(3e-8, 1e-4, 1e-8, 1e-4),
}


def models() -> Iterator[Model]:
    """Every test model, then the two of the zoo with real weights."""
    for name, (kind, inputs) in ARCHITECTURES.items():
        torch.manual_seed(0)
        yield model_from_module(kind().eval(), inputs(1), name)
    yield load_model("isthmus.zoo:efficientnet_lite0")
    yield load_model("isthmus.zoo:minilm")


def device(name: str, flops_per_s: float, model: Model, rng: random.Random) -> DeviceProfile:
    """A device whose op times are a roofline's, each times a factor."""
    made = Provenance("stated", name, torch.__version__, 0.0, False, "none")
    bare = DeviceProfile("cpu", name, 1, 1.0, {"float32": flops_per_s}, flops_per_s / 2, 1e-6, RATES, made)
    guess = bare.op_seconds(model.graph, model.digest, 1)
    times = {op: Measurement(seconds * rng.lognormvariate(0.0, 0.3), 0.0, 1) for op, seconds in guess.items()}
    whole = Measurement(sum(time.seconds for time in times.values()), 0.0, 1)
    return bare.with_op_times(OpTimes(model.digest, bare.engine, 1, 1, times, whole))


def random_condition(rng: random.Random) -> Condition:
    """Seven decades of bandwidth, two of either load; no round trip in one case of five."""
    bps = 10 ** rng.uniform(4, 11)
    rtt_s = 0.0 if rng.random() < 0.2 else 10 ** rng.uniform(-4, 0)
    return Condition(Link(bps, bps, rtt_s), 10 ** rng.uniform(-1, 1), 10 ** rng.uniform(-1, 1))


def excess(frontier: Frontier, model: Model, setting: Setting, condition: Condition) -> float:
    """How far the frontier's best is from a problem made and solved anew."""
    costing = replace(setting.costing, edge_load=condition.edge_load, cloud_load=condition.cloud_load)
    problem = model_costs(model, setting.edge, setting.cloud, condition.link, costing).problem
    fresh = solve(problem).total_s
    return abs(frontier.best(condition).total_s(condition) - fresh) / fresh


def frontier_ms(model: Model, setting: Setting) -> float:
    """The 10th percentile of ten runs (the machine is shared), costs known."""
    problem, runs = parametric_model(model, setting.edge, setting.cloud, setting.costing).problem, []
    for _ in range(11):
        start = time.perf_counter()
        supported_cuts(problem)
        runs.append((time.perf_counter() - start) * 1e3)
    return sorted(runs[1:])[1]


def judge(model: Model, seed: int, conditions: int) -> Mapping[str, float]:
    """All figures of one model."""
    rng = random.Random(seed)
    edge, cloud = device("edge", 1e10, model, rng), device("cloud", 1e12, model, rng)
    setting = Setting(edge, cloud, Link(1e6, 1e6, 0.0), Costing(lossless=False))
    frontier = frontier_of(model, setting)
    menus = {share: menu_of(frontier, share) for share in GOAL_CUTS}
    return {
        "excess": max(excess(frontier, model, setting, random_condition(rng)) for _ in range(conditions)),
        "ms": round(frontier_ms(model, setting), 1),
        "ops": len(model.graph.ops),
        "plans": len(frontier.plans),
        "cuts": len({entry.plan.edge_ops for entry in frontier.plans}),
        **{f"menu within {share:.0%}": len(menu.cuts) for share, menu in menus.items()},
    }


def main() -> None:
    """Print the figure."""
    options = parse_options(__doc__)
    conditions = 200 if options.quick else 1000
    found = {model.name: judge(model, options.seed + i, conditions) for i, model in enumerate(models())}
    errors = [figures["excess"] for figures in found.values()]
    exact, quick = max(errors) <= GOAL, max(figures["ms"] for figures in found.values()) <= GOAL_MS
    small = all(f[f"menu within {share:.0%}"] <= most for f in found.values() for share, most in GOAL_CUTS.items())
    faults = {"not exact": exact, "too slow": quick, "menus too long": small}
    words = ", ".join(fault for fault, met in faults.items() if not met)
    numbers = (max(errors), min(errors), max(errors), sys.float_info.epsilon, conditions * len(found), GOAL)
    details = {"goal_ms": GOAL_MS, **found}
    verdict = f"missed: {words}" if words else "holds"
    report(Figure("frontier_exactness", *numbers, not words, machine(), options.seed, verdict, details), options)


if __name__ == "__main__":
    main()
