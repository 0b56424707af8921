"""How near does a replayed decision log come to what really happened? A live hour, scaled down, and its replay.

A real deployment (bare processes, efficientnet-lite0, the edge slowed four times) behind the link emulator, which plays
recorded mobile links (benchmarks/traces/norway3g, six times as fast), decides requests of photos that come at random
(Poisson) by policy `latency`, and keeps its decision log. The log is replayed under its own policy. Value: the worse of
the error at the median over the 5 % that it may be and of that at the 99th percentile over 10 %, so that 1 is just
allowed; its interval resamples blocks of time. It holds where the intervals of both end below 1, is missed where one
begins above, and cannot be told in between, nor where the floor is above 1: how far the recorded run's own quantiles
lie from themselves, resampled, the same way. Beside: the medians of each stage, really and replayed. Full: a second
run, under `edge-only`, with the same arrivals and links, shows how near the first log's counterfactual came to it.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import figure
from benchmarks.figure import Figure, Options, machine, parse_options, report
from isthmus.client import AsyncClient
from isthmus.configuration import (
    CloudConfiguration,
    Configuration,
    DecisionLogConfiguration,
    EdgeConfiguration,
    LinkConfiguration,
    ModelConfiguration,
)
from isthmus.demo import SLOWDOWN
from isthmus.deployment import Sides, deploy
from isthmus.errors import InvalidRequest, IsthmusError
from isthmus.model_export import export_models
from isthmus.policy_configuration import PolicyConfiguration
from isthmus.zoo import demo_photos
from nodes.settings import ModelArtifact
from nodes.steering import PolicySetting
from scheduler.decision_replay import log_files, log_lines
from simulations.link_emulator import LinkShape
from simulations.link_trace import LinkTrace, play_trace
from simulations.replay.answer import ReplayAnswer, replay
from simulations.replay.block_bootstrap import Interval
from simulations.replay.fates import Fate, real_fate
from simulations.replay.logged_run import LoggedRun, logged_run
from simulations.replay.policy_history import policy_history
from simulations.replay.recorded_world import RecordedWorld
from simulations.trace_files.reading import read_link_trace

MODEL, SOURCE = "efficientnet-lite0", "isthmus.zoo:efficientnet_lite0"
TRACES = Path(__file__).parent / "traces" / "norway3g"
RTT_S, RATE_PER_S, TIMEOUT_S, QUICK_S, FULL_S = 0.05, 2.0, 10.0, 55.0, 300.0
LINK_SCALE = 6.0  # these were 3G: as they are, nearly all stays on the edge
STAGES = ("edge_queue_s", "edge_s", "uplink_s", "cloud_queue_s", "cloud_s", "downlink_s")
ALLOWED = {"p50_s": 0.05, "p99_s": 0.10}
GOAL = 1.0


def link_trace(seconds: float) -> LinkTrace:
    """The recorded links one after the other, each for a while."""
    times_s, bandwidths_bps, now_s = list[float](), list[float](), 0.0
    recorded = [read_link_trace(path) for path in sorted(TRACES.glob("norway_*"))]
    each_s = seconds / len(recorded)
    for trace in recorded:
        for time_s, state in itertools.takewhile(lambda step: step[0] < each_s, trace.changes()):
            times_s.append(now_s + time_s)
            bandwidths_bps.append(LINK_SCALE * state.uplink_bps)
        now_s += each_s
    return LinkTrace(tuple(times_s), tuple(bandwidths_bps), tuple(bandwidths_bps))


async def load(client: AsyncClient, seconds: float, seed: int) -> int:
    """Photos, whether or not those before are answered. How many failed."""
    rng, photos, (name,) = random.Random(seed), demo_photos(), await client.input_names(MODEL)
    began_s, due_s, asked = time.monotonic(), 0.0, list[asyncio.Task[bool]]()

    async def ask(photo: Path) -> bool:
        try:
            await client.infer(MODEL, {name: photo}, TIMEOUT_S)
        except IsthmusError:
            return False
        return True

    while (due_s := due_s + rng.expovariate(RATE_PER_S)) < seconds:
        await asyncio.sleep(began_s + due_s - time.monotonic())
        asked.append(asyncio.create_task(ask(rng.choice(photos))))
    return sum(not answered for answered in await asyncio.gather(*asked))


async def lived(policy: str, artifacts: tuple[ModelArtifact, ...], seconds: float, seed: int) -> tuple[LoggedRun, int]:
    """A run's log, and how many of its requests failed."""
    trace = link_trace(seconds)
    with tempfile.TemporaryDirectory() as folder:
        log = DecisionLogConfiguration(folder=folder)
        configuration = Configuration(
            models=(ModelConfiguration(name=MODEL, source=SOURCE),),
            edge=EdgeConfiguration(
                listen="127.0.0.1:0", runtime="process", emulate_slowdown=SLOWDOWN, decision_log=log
            ),
            cloud=CloudConfiguration(registry_listen="127.0.0.1:0", runtime="process"),
            link=LinkConfiguration(bandwidth=trace.uplink_bps[0], rtt=RTT_S),
            policy=PolicyConfiguration(name=policy),
        )
        async with deploy(configuration, Sides(True, True), lambda: artifacts, lambda _: None) as running:
            link = running.link
            assert link is not None
            async with AsyncClient(running.gateway) as client:
                await client.infer(MODEL, {(await client.input_names(MODEL))[0]: demo_photos()[0]}, TIMEOUT_S)
                playing = asyncio.create_task(
                    play_trace(
                        trace, lambda state: link.set_shape(LinkShape(state.uplink_bps, state.downlink_bps, RTT_S))
                    )
                )
                failed = await load(client, seconds, seed)
                playing.cancel()
        return logged_run(lines(Path(folder))), failed


def lines(folder: Path) -> Iterator[Mapping[str, Any]]:
    for path in log_files(folder):
        yield from log_lines(path)


def of_allowed(answer: ReplayAnswer) -> list[figure.Interval]:
    """Each error over what it may be, of those that there were requests enough for. Raises InvalidRequest where there
    were for none."""
    changes = [(answer.error.changes[name], allowed) for name, allowed in ALLOWED.items()]
    found = [_absolute(told, change.value, allowed) for change, allowed in changes if (told := ends(change))]
    if not found:
        raise InvalidRequest("log", "is too short for intervals", value=answer.counted, remedy="run it for longer")
    return found


def verdict(errors: Sequence[figure.Interval], noise: float) -> str:
    """Of errors over what they may be, all of which must be known and allowed. noise: the floor, likewise."""
    if any(one.low > GOAL for one in errors):
        return "missed"
    if len(errors) < len(ALLOWED):
        return "cannot be told of so few requests"
    told = noise <= GOAL and all(one.high <= GOAL for one in errors)
    return "holds" if told else "cannot be told on this machine"


def _absolute(told: tuple[float, float], value: float, allowed: float) -> figure.Interval:
    low, high = told
    nearest = 0.0 if low <= 0.0 <= high else min(abs(low), abs(high))
    furthest = max(abs(low), abs(high), abs(value))
    return figure.Interval(abs(value) / allowed, nearest / allowed, furthest / allowed)


def ends(interval: Interval) -> tuple[float, float] | tuple[()]:
    """None of a quantile that there were too few requests for."""
    return () if interval.low is None or interval.high is None else (interval.low, interval.high)


def floor(answer: ReplayAnswer) -> float:
    """Half of the recorded run's own intervals, over what an error may be."""
    halves = []
    for name, allowed in ALLOWED.items():
        one: Interval = getattr(answer.really, name)
        if found := ends(one):
            halves.append((found[1] - found[0]) / 2 / one.value / allowed)
    return max(halves)


def told(answer: ReplayAnswer) -> dict[str, object]:
    rows = [
        f"{name}: {_ms(getattr(answer.really, name))} really, {_ms(getattr(answer.again, name))} replayed, "
        f"{_signed(change)}, allowed {ALLOWED.get(name, float('nan'))}"
        for name, change in answer.error.changes.items()
    ]
    mix = {name: {plan: round(share, 3) for plan, share in one.plans.items()}
           for name, one in (("really", answer.really), ("replayed", answer.again))}  # fmt: skip
    return {
        "errors": rows,
        "plans": f"{answer.error.mix_points:.1f} points apart: {mix}",
        "ends": f"really {dict(answer.really.ends)}, replayed {dict(answer.again.ends)}",
        "link": f"seen within a second of {answer.link_seen:.3f} of the requests",
        "caveats": list(answer.caveats),
    }


def stage_rows(run: LoggedRun) -> list[str]:
    """Median of each stage really and replayed, of the answered requests that had any of it, and how many did."""
    again = RecordedWorld.of(run).run(policy_history(run.requests))
    both = [(real_fate(one), fate) for one, fate in zip(run.requests, again, strict=True) if one.ended]
    really, replayed = zip(*both, strict=True)
    return [f"{name.removesuffix('_s')}: {_stage(really, name)} really, {_stage(replayed, name)} replayed"
            for name in STAGES]  # fmt: skip


def _stage(fates: Sequence[Fate], name: str) -> str:
    answered = [fate.stages for fate in fates if fate.end in ("answered", "resumed")]
    # A log counts what the edge finished as work of the edge.
    seconds = [getattr(one, name) + (one.finish_s if name == "edge_s" else 0.0) for one in answered]
    had = [one_s for one_s in seconds if one_s > 0.0]
    return f"{1e3 * median(had):.1f} ms ({len(had)})" if had else "-"


def _ms(interval: Interval) -> str:
    told = ", ".join(f"{end * 1e3:.0f}" for end in ends(interval)) or "too few"
    return f"{interval.value * 1e3:.0f} ms [{told}]"


def _signed(change: Interval) -> str:
    told = ", ".join(f"{end:+.3f}" for end in ends(change)) or "too few"
    return f"{change.value:+.3f} [{told}]"


def counterfactual(answer: ReplayAnswer, really: ReplayAnswer) -> str:
    """What the log said of the other policy, and what that policy did."""
    said = answer.others[0].told
    pairs = {name: (getattr(said, name), getattr(really.really, name)) for name in answer.error.changes}
    return "; ".join(
        f"{name} {_ms(one)} told, {_ms(other)} really, {one.value / other.value - 1:+.3f}"
        for name, (one, other) in pairs.items()
    )


async def measure(options: Options) -> Figure:
    seconds, seed = QUICK_S if options.quick else FULL_S, options.seed
    models = (ModelConfiguration(name=MODEL, source=SOURCE),)
    artifacts = await asyncio.to_thread(export_models, models, Path.cwd(), lambda _: None)
    run, failed = await lived("latency", artifacts, seconds, seed)
    answer = replay(run, [PolicySetting("edge-only")], seed)
    errors, details = of_allowed(answer), told(answer)
    details["medians by stage (of how many)"] = stage_rows(run)
    details["what ran"] = f"real compute, edge slowed {SLOWDOWN:g} times; {failed} requests failed"
    if not options.quick:
        other, _ = await lived("edge-only", artifacts, seconds, seed)
        details["the log's word on edge-only"] = counterfactual(answer, replay(other, [], seed))
    worst, noise = max(errors, key=lambda one: one.value), floor(answer)
    words = verdict(errors, noise)
    return Figure(
        "replay", worst.value, min(worst.low, worst.value), worst.high, noise, answer.counted, GOAL, words == "holds",
        machine(), seed, words, details,
    )  # fmt: skip


if __name__ == "__main__":
    given = parse_options(__doc__ or "")
    report(asyncio.run(measure(given)), given)
