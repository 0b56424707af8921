"""A step in load, up and down again, on cloud replicas that Ray Serve scales by their queued work.

On the paced engine (real outputs, times of a profile, asleep instead of busy): a request takes a replica 60 ms, the
step is ten times, from 0.2 to 2 replicas' worth. On real compute, which two cores bear less of: first it is measured
what one replica answers at most, then the step is from 0.2 to 1.0 of that, with two replicas at most. Arrivals are
random (Poisson); the model is cloud-required, so a request that no replica answers within 30 s fails. Printed for each
step up, from its moment on: when more replicas were decided on, when the last of them ran, when the first new one had
answered a request, and when the 99th percentile (of windows of 2 s) was back inside 500 ms to stay. At the end of each
run the cloud, at rest, goes to zero replicas, and a request wakes it.

The figure is the requests that failed from the step down on, while replicas drain and go, and the answers that were
wrong at any time; the goal is none. Five steps paced and two runs of one on real compute; with --quick one step paced.
--scenarios paced or real: that form only.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.compute_forms import FORMS, PACED, REAL, chosen_forms, values_told
from benchmarks.figure import Options, count_figure, parse_options, report
from benchmarks.judged_requests import heavy_model, made_model
from benchmarks.load_steps import Rates, Sent, Step, most_per_s, step_up_and_down, to_zero_and_back
from benchmarks.ray_site import ray_site
from partitioner.model import Model
from scheduler.autoscaling import AutoscalingRule


@dataclass(frozen=True, slots=True)
class Form:
    """paced_s: what a request takes a replica, None for real compute. low, high: load in replicas' worth. runs: of so
    many steps each, the second pair with --quick; up_s: of a step."""

    make: Callable[[], Model]
    paced_s: float | None
    rule: AutoscalingRule
    low: float
    high: float
    runs: tuple[int, int] = (1, 1)
    steps: tuple[int, int] = (1, 1)
    up_s: tuple[float, float] = (45.0, 36.0)

    def rates(self, most: float) -> Rates:
        """most: requests a second that one replica answers."""
        return Rates(self.low * most, self.high * most)


# No more than four: each takes seconds of CPU to start (it imports torch), and all share two cores with the load.
RULE = AutoscalingRule(0, 4, target_queue_s=0.1, scale_down_after_s=8.0)
FORM = {
    PACED: Form(partial(made_model, 64, 0), 0.06, RULE, 0.2, 2.0, steps=(5, 1)),
    # The first replica, a second one, and what edge and clients take for as many requests just fit on two cores.
    REAL: Form(heavy_model, None, AutoscalingRule(0, 2, 0.1, 8.0), 0.2, 1.0, runs=(2, 1), up_s=(45.0, 24.0)),
}
MEASURING_CLIENTS, MEASURING_S = 4, 5.0


@dataclass(frozen=True, slots=True)
class Run:
    """One site. most: requests a second that one replica answers. to_zero_s, wake_s: see `to_zero_and_back`."""

    most: float
    rates: Rates
    steps: Sequence[Step]
    to_zero_s: float
    wake_s: float


async def most_of_one(form: Form, model: Model) -> float:
    """Requests a second that one replica answers: by its pace, or as measured."""
    if form.paced_s is not None:
        return 1 / form.paced_s
    async with ray_site(AutoscalingRule.fixed(1), model, None) as site:
        await most_per_s(site, MEASURING_CLIENTS, 1.0)  # warm
        return await most_per_s(site, MEASURING_CLIENTS, MEASURING_S)


async def run(form: Form, steps: int, up_s: float, rng: random.Random) -> Run:
    model = form.make()
    most = await most_of_one(form, model)
    rates = form.rates(most)
    async with ray_site(form.rule, model, form.paced_s) as site:
        done = [await step_up_and_down(site, rates, up_s, rng) for _ in range(steps)]
        return Run(most, rates, done, *await to_zero_and_back(site))


async def measure(options: Options) -> dict[str, list[Run]]:
    """The runs of each form."""
    rng, quick = random.Random(options.seed), int(options.quick)
    made = dict[str, list[Run]]()
    for name in chosen_forms(options):
        form = FORM[name]
        made[name] = [await run(form, form.steps[quick], form.up_s[quick], rng) for _ in range(form.runs[quick])]
    return made


def told(form: Form, runs: Sequence[Run]) -> list[str]:
    """What came of one form, in lines."""
    steps = [step for one in runs for step in one.steps]
    up, down = [one for step in steps for one in step.up], [one for step in steps for one in step.down]
    names = {
        "decided": "decided_s", "last replica runs": "running_s", "first answer of a new one": "first_answer_s",
        "p99 inside 500 ms to stay": "inside_s", "worst p99 (2 s windows)": "worst_p99_s", "replicas": "replicas",
    }  # fmt: skip
    engine = "real compute" if form.paced_s is None else f"paced, {form.paced_s * 1e3:g} ms a request"
    rates = "; ".join(f"{one.most:.1f}/s, step from {one.rates.low:.1f} to {one.rates.high:.1f}/s" for one in runs)
    return [
        engine,
        f"one replica answers {rates}",
        *(values_told(name, [float(getattr(step, key)) for step in steps]) for name, key in names.items()),
        f"failed on the way up: {failed(up)} of {len(up)}",
        f"failed on the way down: {failed(down)} of {len(down)}",
        f"wrong: {wrong(up) + wrong(down)}",
        f"errors: {dict(Counter(one.asked.error.partition(':')[0] for one in (*up, *down) if one.asked.error))}",
        f"at rest, to zero replicas: {', '.join(f'{one.to_zero_s:.1f}' for one in runs)} s",
        f"from zero, the first answer: {', '.join(f'{one.wake_s:.1f}' for one in runs)} s after the first request",
        str(form.rule),
    ]


def failed(sent: Iterable[Sent]) -> int:
    return sum(bool(one.asked.error) for one in sent)


def wrong(sent: Iterable[Sent]) -> int:
    return sum(not one.asked.error and not one.asked.right for one in sent)


def main() -> None:
    options = parse_options(__doc__ or "", scenarios=FORMS)
    runs = asyncio.run(measure(options))
    details: dict[str, object] = {name: told(FORM[name], of_form) for name, of_form in runs.items()}
    steps = [step for of_form in runs.values() for one in of_form for step in one.steps]
    bad = sum(failed(step.down) + wrong(step.up) + wrong(step.down) for step in steps)
    down = sum(len(step.down) for step in steps)
    details["limited by"] = (
        "the start of replicas: each takes 5 s of CPU (Ray's worker, torch), all at once, on two cores that bear edge, "
        "clients and load too"
    )
    report(count_figure("autoscale", bad, down, options, details=details), options)


if __name__ == "__main__":
    main()
