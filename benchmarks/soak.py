"""Does anything grow? Real edge and cloud processes under 70 % of the load that they bear, for 20 minutes.

First all clients ask without a pause, which says what the two bear; then requests arrive at random (Poisson) at 70 % of
that rate: most split, some on the edge alone or as the policy likes, and in every hundred two that their client takes
back, two with a deadline that cannot be kept, one that is refused. Every two seconds each node says what it holds.

The figure is resident memory at the end of the run over that at its start, of the node where it is greater: by the
Theil-Sen slope over medians of 20 s, with that estimator's interval. It holds where that is 1.02 or less, every request
ended as its kind may and, a few seconds after the last one, both nodes hold as many tasks, threads, descriptors,
requests and bytes of tensors as before the first (after a short rehearsal, since a process opens files and threads
once). Beside it stand bytes a minute over the last half. An edge's memory fills for half an hour, which it keeps for
those who look at it (`nodes/sight/history.py`): in 20 minutes that cannot be told from a leak as slow.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import uvloop
from scipy.stats import theilslopes

from benchmarks.figure import Figure, Interval, machine, parse_options, report
from benchmarks.judged_requests import MODEL, inputs_of, made_model
from benchmarks.node_process import NodeProcess
from isthmus.client import AsyncClient
from isthmus.errors import IsthmusError
from isthmus.telemetry import configure_logging
from nodes.plan_shapes import cut_plan
from nodes.settings import CloudSettings, EdgeSettings, ModelArtifact
from nodes.transport.registry_server import RegistryServer
from partitioner.artifact import save_artifact
from scheduler.fleet_registry import FleetRegistry

GOAL, LOAD = 1.02, 0.7
MINUTES, QUICK_MINUTES = 20.0, 1.2
BOUNDARY, DEPTH = 4_096, 0  # 16 kB cross an item
CLIENTS, MOST_WAITING, SAMPLE_S, BLOCK = 16, 96, 2.0, 10
REHEARSAL_S, SETTLE_S = 6.0, 4.0
MOST_TOLD = 20
LEFT_BEHIND = ("requests", "streams", "held_bytes", "tasks", "threads", "descriptors")
EXPECTED = {
    "split": frozenset({"answered"}),
    "edge": frozenset({"answered"}),
    "any": frozenset({"answered"}),
    "taken back": frozenset({"taken back", "answered"}),
    "too late": frozenset({"DeadlineExceeded", "DeadlineUnreachable", "answered"}),  # some edges answer in 2 ms
    "refused": frozenset({"NotFound"}),
}
"""How requests of each kind may end."""
WEIGHTS = (75, 10, 10, 2, 2, 1)
_WORDS = 100
Status = Mapping[str, int]


@dataclass(frozen=True)
class Site:
    """What runs."""

    cloud: NodeProcess
    edge: NodeProcess
    client: AsyncClient
    input: str

    async def status(self) -> dict[str, Status]:
        """What each node says that it holds."""
        return {"edge": await self.edge.status(), "cloud": await self.cloud.status()}


@dataclass
class Soak:
    """What happened: statuses by node with their times, how requests ended by kind and outcome, those that were not
    sent, the words of those that ended as their kind may not, requests a second."""

    times_s: list[float] = field(default_factory=list)
    statuses: dict[str, list[Status]] = field(default_factory=lambda: {"edge": [], "cloud": []})
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    unsent: int = 0
    words: Counter[str] = field(default_factory=Counter)
    capacity: float = 0.0
    before: dict[str, Status] = field(default_factory=dict)
    after: dict[str, Status] = field(default_factory=dict)

    def ended(self, kind: str, outcome: str, words: str = "") -> None:
        """Count one."""
        self.outcomes[kind, outcome] += 1
        if outcome not in EXPECTED[kind]:
            self.words[f"{kind}: {outcome}: {words[:_WORDS]}"] += 1


@contextlib.asynccontextmanager
async def soak_site() -> AsyncIterator[Site]:
    """One replica, one edge, each a process; a split plan is on offer."""
    model = made_model(BOUNDARY, DEPTH)
    plan = cut_plan(model, tuple(op.name for op in model.graph.ops[:2]), {}, "int8")
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / MODEL
        save_artifact(model, folder)
        registry = await RegistryServer.start(FleetRegistry(), "127.0.0.1:0")
        stack.push_async_callback(registry.stop)
        artifact = ModelArtifact(MODEL, str(folder), (plan.to_json(),))
        cloud = NodeProcess(
            "cloud", CloudSettings((ModelArtifact(MODEL, str(folder)),), "127.0.0.1:0", registry.address)
        )
        edge = NodeProcess("edge", EdgeSettings((artifact,), "127.0.0.1:0", registry.address))
        for node in (cloud, edge):
            stack.push_async_callback(node.end, kill=True)
            await node.start()
        await edge.planned()
        client = await stack.enter_async_context(AsyncClient(edge.address))
        yield Site(cloud, edge, client, model.interface.inputs[0].name)


async def ask(site: Site, rng: random.Random, soak: Soak) -> None:
    """One request of some kind, and what became of it."""
    kind = rng.choices(tuple(EXPECTED), WEIGHTS)[0]
    policy = {"split": "fixed:split", "edge": "edge-only", "refused": "no-such-policy"}.get(kind)
    timeout_s = 0.002 if kind == "too late" else 10.0
    asked = site.client.infer(MODEL, {site.input: inputs_of(rng.randrange(1 << 30))}, timeout_s, policy)
    try:
        if kind == "taken back":
            await asyncio.wait_for(asked, 0.003)
        else:
            await asked
    except TimeoutError:
        soak.ended(kind, "taken back")
    except IsthmusError as error:
        soak.ended(kind, type(error).__name__, str(error))
    else:
        soak.ended(kind, "answered")


async def closed_loop(site: Site, rng: random.Random, seconds: float) -> float:
    """Requests a second that all clients get done without a pause."""
    counted, ends_s = Soak(), time.monotonic() + seconds

    async def client() -> None:
        while time.monotonic() < ends_s:
            await ask(site, rng, counted)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return counted.outcomes.total() / seconds


async def open_loop(site: Site, rng: random.Random, rate: float, seconds: float, soak: Soak) -> None:
    """Poisson arrivals; those that find MOST_WAITING under way are not sent, which is counted."""
    under_way: set[asyncio.Task[None]] = set()
    began_s = next_s = time.monotonic()
    while next_s < began_s + seconds:
        await asyncio.sleep(max(0.0, next_s - time.monotonic()))
        next_s += rng.expovariate(rate)
        if len(under_way) >= MOST_WAITING:
            soak.unsent += 1
            continue
        task = asyncio.create_task(ask(site, rng, soak))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    await asyncio.gather(*under_way)


async def watch(site: Site, soak: Soak) -> None:
    """Until cancelled."""
    while True:
        for side, status in (await site.status()).items():
            soak.statuses[side].append(status)
        soak.times_s.append(time.monotonic())
        await asyncio.sleep(SAMPLE_S)


async def run_soak(seconds: float, seed: int) -> Soak:
    configure_logging("critical")
    soak, rng = Soak(), random.Random(seed)
    async with soak_site() as site:
        soak.capacity = await closed_loop(site, rng, REHEARSAL_S)
        await open_loop(site, rng, LOAD * soak.capacity, REHEARSAL_S, Soak())
        await asyncio.sleep(SETTLE_S)
        soak.before = await site.status()
        watching = asyncio.create_task(watch(site, soak))
        await open_loop(site, rng, LOAD * soak.capacity, seconds, soak)
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        await asyncio.sleep(SETTLE_S)
        soak.after = await site.status()
    return soak


def growth(times_s: list[float], resident: list[int]) -> Interval:
    """Resident memory at the end over that at the start, by the Theil-Sen slope (Sen 1968) of medians of BLOCK samples:
    neighbours are alike, and an interval that took each for news would be too narrow."""
    x, y = _medians(times_s, resident)
    slope, intercept, low, high = theilslopes(y, x)
    first, span_s = intercept + slope * times_s[0], times_s[-1] - times_s[0]
    return Interval(*(1 + rate * span_s / first for rate in (slope, low, high)))


def last_slope(times_s: list[float], resident: list[int]) -> Interval:
    """Bytes a minute over the last half, likewise."""
    x, y = _medians(times_s, resident)
    half = len(x) // 2
    slope, _, low, high = theilslopes(y[half:], x[half:])
    return Interval(*(60 * rate for rate in (slope, low, high)))


def _medians(times_s: list[float], resident: list[int]) -> tuple[list[float], list[float]]:
    block = BLOCK if len(resident) >= 6 * BLOCK else 2
    starts = range(0, len(resident) - block + 1, block)
    return [median(times_s[i : i + block]) for i in starts], [median(resident[i : i + block]) for i in starts]


def left_behind(soak: Soak) -> list[str]:
    """What a node holds after the run beyond what it held before."""
    return [
        f"{side}: {name} {soak.before[side][name]} -> {soak.after[side][name]}"
        for side in soak.before
        for name in LEFT_BEHIND
        if soak.after[side][name] > soak.before[side][name]
    ]


def main() -> None:
    options = parse_options(__doc__ or "", budget_s=60 * MINUTES)
    seconds = 60 * QUICK_MINUTES if options.quick else options.budget_s
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        soak = runner.run(run_soak(seconds, options.seed))
    resident = {side: [one["resident_bytes"] for one in seen] for side, seen in soak.statuses.items()}
    grown = {side: growth(soak.times_s, seen) for side, seen in resident.items()}
    slopes = {side: last_slope(soak.times_s, seen) for side, seen in resident.items()}
    worst, left = max(grown.values(), key=lambda one: one.value), left_behind(soak)
    details: dict[str, object] = {
        side: f"{seen[0] / 1e6:.1f} MB at first, {seen[-1] / 1e6:.1f} MB at last, most {max(seen) / 1e6:.1f} MB; "
        f"end over start {grown[side].value:.4f} [{grown[side].low:.4f}, {grown[side].high:.4f}]; in the last half "
        f"{slopes[side].value / 1e3:.0f} [{slopes[side].low / 1e3:.0f}, {slopes[side].high / 1e3:.0f}] kB a minute"
        for side, seen in resident.items()
    }
    details |= {
        "left behind": left or "nothing",
        "held before": {side: dict(status) for side, status in soak.before.items()},
        "held after": {side: dict(status) for side, status in soak.after.items()},
        "requests": f"{soak.outcomes.total()} in {seconds:.0f} s; {soak.capacity:.0f} a second without a pause",
        "not sent, as too many were under way": soak.unsent,
        "outcomes": {f"{kind}: {outcome}": count for (kind, outcome), count in sorted(soak.outcomes.items())},
        "ended as they may not": dict(soak.words.most_common(MOST_TOLD)) or "none",
    }
    holds = worst.value <= GOAL and not left and not soak.words
    numbers = (worst.value, worst.low, worst.high, 1.0, len(soak.times_s), GOAL, holds)
    report(Figure("soak", *numbers, machine(), options.seed, "holds" if holds else "missed", details), options)


if __name__ == "__main__":
    main()
