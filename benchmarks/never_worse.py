"""Is the chosen plan ever worse than the best of not splitting? Decided by one measurement, judged by another.

python benchmarks/never_worse.py [--quick] [--json] [--record]
1,000 conditions: edge 1 to 50 times slower than the cloud, 0.1 to 1,000 Mbit/s, round trip 1 to 200 ms, log-uniform.
Process A measures the device, makes the menu and measures its cuts as whole segments (`repeated_profiles.py`); process
B measures the same anew. A chooses, B judges: the chosen plan over the best of edge-only and cloud-only, whose input
may be the tensor (raw, zstd) or, for pictures, the file (100 kB), PNG or lossless WebP (a smaller JPEG breaks the
accuracy budget, which lossy splits keep). Wire bytes are the solver's, the same for all. The value is the ratio that 99
% of the conditions stay within, for the worse model; none may pass 1.05. Floor: the same, judged by A's own repeat. On
real photos PNG and WebP take other sizes than the choice expects: that is told apart, and is no part of the value.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from benchmarks.encoded_pictures import calibrated_pictures, photo_sizes
from benchmarks.figure import Figure, Options, bootstrap, machine, parse_options, report
from benchmarks.repeated_profiles import Plans, measured_plans
from benchmarks.served_choice import served_choice
from isthmus.api import load_model
from partitioner.condition import Condition
from partitioner.link import Link
from partitioner.measured_plan import MeasuredPlan
from partitioner.plan import TensorCodec

GOAL, GOAL_ALL, SHARE, CASES = 1.02, 1.05, 0.99, 1000
SOURCES = ("isthmus.zoo:efficientnet_lite0", "isthmus.zoo:minilm")
SLOWDOWNS, BANDWIDTHS_BPS, RTTS_S = (1.0, 50.0), (0.1e6, 1e9), (1e-3, 0.2)
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was chosen, and what it takes over the best unsplit plan: by B, by A's repeat, and without the rule.

    photo: by B on a photo whose file's length the choice knows, but not what PNG and WebP will make of it.
    """

    condition: Condition
    chosen: MeasuredPlan
    best_unsplit: MeasuredPlan
    ratio: float
    repeat: float
    hasty: float
    photo: float


def conditions(count: int, seed: int) -> list[Condition]:
    """Log-uniform."""
    source = random.Random(seed)

    def draw(bounds: tuple[float, float]) -> float:
        return float(bounds[0] * (bounds[1] / bounds[0]) ** source.random())

    drawn = ((draw(SLOWDOWNS), draw(BANDWIDTHS_BPS), draw(RTTS_S)) for _ in range(count))
    return [Condition(Link(bps, bps, rtt_s), slowdown) for slowdown, bps, rtt_s in drawn]


def quickest(plans: Sequence[MeasuredPlan], condition: Condition) -> MeasuredPlan:
    """By total alone."""
    return min(plans, key=lambda plan: plan.total_s(condition))


def ratio(chosen: MeasuredPlan, condition: Condition, judges: Plans) -> float:
    """The chosen plan over the best unsplit one, by the judges' times."""
    return judges.of(chosen).total_s(condition) / quickest(judges.unsplit, condition).total_s(condition)


def judge(
    condition: Condition,
    plans: tuple[Plans, Plans, Plans],
    photo: Mapping[str, int],
    expected: Mapping[str, TensorCodec],
) -> Verdict:
    """Choose by A, judge by the others. photo: what it takes; expected: what an edge takes pictures to take."""
    a, repeat, b = plans
    chosen = served_choice(a.plans, condition)
    hasty = ratio(quickest(a.plans, condition), condition, b)
    on_photo = served_choice(a.with_pictures(expected).with_sizes({"file": photo["file"]}).plans, condition)
    return Verdict(
        condition,
        chosen,
        best_unsplit=quickest(b.unsplit, condition),
        ratio=ratio(chosen, condition, b),
        repeat=ratio(chosen, condition, repeat),
        hasty=hasty,
        photo=ratio(on_photo, condition, b.with_sizes(photo)),
    )


def within(values: Sequence[float]) -> float:
    """What 99 % of the values stay within."""
    return sorted(values)[min(len(values) - 1, int(SHARE * len(values)))]


def title(entry: MeasuredPlan) -> str:
    """ "split after 40 ops (int8)"."""
    plan = entry.plan
    codecs = "+".join(dict.fromkeys(tensor.codec for tensor in plan.boundary))
    place = f"split after {len(plan.edge_ops)} ops" if plan.kind == "split" else plan.kind
    return f"{place} ({codecs})" if codecs else place


def line(verdict: Verdict) -> str:
    """One case in words."""
    slower, link = verdict.condition.edge_load, verdict.condition.link
    rivals = f"{title(verdict.chosen)} against {title(verdict.best_unsplit)}"
    return f"{verdict.ratio:.3f} ({verdict.repeat:.3f} by A's repeat): {rivals}, edge {slower:.1f} x, {link}"


def summary(source: str, plans: tuple[Plans, Plans, Plans], verdicts: Sequence[Verdict]) -> Mapping[str, object]:
    """The figures of one model."""
    name = source.partition(":")[2]
    words = {"ratio": "judged by B", "repeat": "judged by A's repeat", "hasty": "judged by B, the rule left out"}
    words |= {"photo": "judged by B on real photos"}
    ratios = {title: [getattr(verdict, way) for verdict in verdicts] for way, title in words.items()}
    worst = sorted(verdicts, key=lambda verdict: -verdict.ratio)[:SHOWN]
    return {
        **{f"{name}, {title}": spread(found) for title, found in ratios.items()},
        f"{name}, B's compute times over A's": drift(plans[0], plans[2]),
        f"{name}, A's repeat's compute times over A's": drift(plans[0], plans[1]),
        f"{name}, chosen": dict(Counter(title(verdict.chosen) for verdict in verdicts).most_common()),
        **{f"{name}, worst {number}": line(verdict) for number, verdict in enumerate(worst, 1)},
    }


def spread(ratios: Sequence[float]) -> str:
    """A sample of ratios in words."""
    above = sum(one > GOAL for one in ratios)
    return f"99 % within {within(ratios):.4f}, max {max(ratios):.4f}, mean {fmean(ratios):.3f}, {above} above {GOAL}"


def drift(one: Plans, other: Plans) -> str:
    """How far two measurements of the same plans are apart."""
    pairs = one.paired(other)
    factors = [(b.costs.edge_s + b.costs.cloud_s) / (a.costs.edge_s + a.costs.cloud_s) for a, b in pairs]
    return f"{min(factors):.3f} to {max(factors):.3f}, median {median(factors):.3f}"


def figure(options: Options) -> Figure:
    """Measure and judge both models; the figure is that of the worse one."""
    drawn, photos = conditions(CASES, options.seed), photo_sizes()
    details: dict[str, object] = {"goal for all": GOAL_ALL, "bytes of the photos": photos}
    by_model: list[list[Verdict]] = []
    for source in SOURCES:
        plans = measured_plans(source, (BANDWIDTHS_BPS, SLOWDOWNS), options.quick)
        expected = calibrated_pictures(load_model(source))
        details[f"{source.partition(':')[2]}, bytes expected"] = {
            c: (t.bytes, t.spread_bytes) for c, t in expected.items()
        }
        judged = [judge(condition, plans, photos[i % len(photos)], expected) for i, condition in enumerate(drawn)]
        by_model.append(judged)
        details |= summary(source, plans, by_model[-1])
    ratios = max(([verdict.ratio for verdict in found] for found in by_model), key=within)
    floor = max(within([verdict.repeat for verdict in found]) for found in by_model)
    worst = max(verdict.ratio for found in by_model for verdict in found)
    value = bootstrap(ratios, options.seed, within)
    holds = value.value <= GOAL and worst <= GOAL_ALL
    missed = "cannot be told on this machine" if floor > GOAL else "missed"
    words = "holds" if holds else f"{missed}: 99 % within {value.value:.4f}, all within {worst:.4f}"
    numbers = (value.value, value.low, value.high, floor, len(ratios), GOAL, holds)
    return Figure("never_worse", *numbers, machine(), options.seed, words, details)


def main() -> None:
    """Print the figure."""
    options = parse_options(__doc__)
    report(figure(options), options)


if __name__ == "__main__":
    main()
