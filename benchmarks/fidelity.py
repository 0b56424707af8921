"""How near does the simulator come to the live system? The same scenario files live on this machine and simulated.

Live: an edge, its replicas and the link emulator as processes of their own, requests sent when they are due (open loop,
latency from that moment), five runs of 2,000 requests and more that count. In six scenarios the cloud is paced (real
outputs, asleep instead of busy), in two it computes. Simulated: the same file, arrivals and moments, with a profile
that other processes measured at rest before the runs; nothing of the runs goes into it. Judged, by the median over the
runs: p50 within 3 %, p99 within 8 %, throughput within 2 %, the share of any cut within 5 points, or each within the
live system's own half spread over its runs, if that is more. Value: the worst p50 error, with the bootstrap interval
over its scenario's runs; floor: the live half spread there. A run of fewer requests than 2,000 holds nothing.

It runs in pieces: --scenarios chooses, and with --record what it measured is added to the record, which it goes on
from: for --budget seconds, then the call ends, and the next one adds the runs that are missing.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.fidelity_judge import Compared, RunSummary, compare
from benchmarks.fidelity_live import live_run
from benchmarks.fidelity_profile import Profile, profile
from benchmarks.fidelity_simulated import arrivals_of, completed, simulated_run
from benchmarks.fidelity_site import live_site
from benchmarks.fidelity_subjects import SUBJECTS, install
from benchmarks.figure import Figure, Interval, Options, machine, parse_options, report
from isthmus.telemetry import configure_logging
from simulations.scenario.reading import ScenarioFile, read_scenario
from simulations.scenario.sweep import with_settings

HERE = Path(__file__).resolve().parent
SCENARIOS = {path.stem: path for path in sorted((HERE / "scenarios").glob("*.yaml"))}
RECORD = HERE.parent / "docs" / "results" / "fidelity.json"
RUNS, BUDGET_S = 5, 3600.0
QUICK, QUICK_RUNS, QUICK_S, QUICK_WARM_UP_S = ("busy-fibre", "batching"), 2, 8.0, 1.0
GOAL_P50, LEAST_REQUESTS = 0.03, 2000


@dataclass
class Measured:
    """A scenario's runs so far, live and simulated, and the profiles that the latter were given, in words."""

    live: list[RunSummary] = field(default_factory=list)
    simulated: list[RunSummary] = field(default_factory=list)
    profiles: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Measured:
        """What `asdict` made."""
        live, simulated = ([RunSummary.from_dict(run) for run in told[one]] for one in ("live", "simulated"))
        return cls(live, simulated, list(told["profiles"]), list(told["loads"]))


async def measure(file: ScenarioFile, measured: Measured, runs: int, over_s: float) -> None:
    """The runs that are missing, as many as begin before `over_s` of the monotonic clock."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        installed = install(file.scenario.models[0].name, folder)
        told = await profile(installed, file.scenario, folder)
        whole = completed(file, told, folder)
        measured.profiles.append(_said(told))
        async with live_site(installed, whole.scenario, folder) as site:
            while len(measured.live) < runs:
                number = len(measured.live)
                arrivals = arrivals_of(whole.scenario, number)
                run = await live_run(site, installed, whole.scenario, arrivals, told.table, number)
                measured.live.append(RunSummary.of(run.record, run.late_p99_s))
                measured.loads.append(machine().rpartition(", ")[2])
                if time.monotonic() > over_s:
                    break
        for number in range(len(measured.simulated), len(measured.live)):
            measured.simulated.append(RunSummary.of(simulated_run(whole, number)))


def _said(told: Profile) -> str:
    plans = []
    for entry in told.table.entries:
        edge_s, cloud_s = entry.costs.edge.at(1), entry.costs.cloud.at(1)
        plans.append(f"{entry.plan.kind} {1e3 * edge_s:.2f} + {1e3 * cloud_s:.2f}")
    besides = f"overhead {1e3 * told.overhead_s:.2f} ms, crossing {1e3 * told.crossing_s:.2f} ms more"
    return f"{besides}; edge + cloud, ms: {', '.join(plans)}"


def _file(name: str, *, quick: bool) -> ScenarioFile:
    file = read_scenario(SCENARIOS[name])
    return with_settings(file, [("duration", QUICK_S), ("warm_up", QUICK_WARM_UP_S)]) if quick else file


def _earlier(options: Options) -> dict[str, Measured]:
    """What the record holds, of the same seed; a scenario that is asked for by name and whole is measured anew."""
    if not (options.record and RECORD.is_file()):
        return {}
    told = json.loads(RECORD.read_text(encoding="utf-8"))
    if told["seed"] != options.seed:
        return {}
    known = {name: Measured.from_dict(one) for name, one in told["details"]["runs"].items() if name in SCENARIOS}
    return {name: one for name, one in known.items() if len(one.live) < RUNS or name not in options.scenarios}


def measure_all(options: Options) -> dict[str, Measured]:
    """By scenario."""
    known, runs = _earlier(options), QUICK_RUNS if options.quick else RUNS
    names = options.scenarios or (QUICK if options.quick else tuple(SCENARIOS))
    over_s = time.monotonic() + options.budget_s
    for name in names:
        measured = known.setdefault(name, Measured())
        if len(measured.live) < runs and time.monotonic() < over_s:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(measure(_file(name, quick=options.quick), measured, runs, over_s))
    return {name: one for name, one in known.items() if one.live}


def figure(measured: Mapping[str, Measured], options: Options) -> Figure:
    """Of all that was measured."""
    compared = [compare(name, one.live, one.simulated, options.seed) for name, one in sorted(measured.items())]
    worst = max(compared, key=lambda one: one.measures["p50"].error)
    complete = options.quick or (len(compared) == len(SCENARIOS) and all(len(one.live) >= RUNS for one in compared))
    missed = [f"{one.name} {name}" for one in compared for name, each in one.measures.items() if not each.holds]
    missed += [] if options.quick else _too_few(compared)
    holds = complete and not missed
    words = "holds" if holds else f"missed: {', '.join(missed)}" if missed else "not all was run yet"
    p50 = worst.measures["p50"]
    return Figure(
        "fidelity", p50.error, worst.p50_error.low, worst.p50_error.high, p50.half_spread,
        sum(run.requests for one in compared for run in one.live), GOAL_P50, holds, machine(), options.seed, words,
        _details(compared, measured, options),
    )  # fmt: skip


def _too_few(compared: Sequence[Compared]) -> list[str]:
    few = [one for one in compared if one.fewest < LEAST_REQUESTS]
    return [f"{one.name} a run of {one.fewest} requests of {LEAST_REQUESTS}" for one in few]


def _details(compared: Sequence[Compared], measured: Mapping[str, Measured], options: Options) -> dict[str, object]:
    files = {one.name: read_scenario(SCENARIOS[one.name]).scenario for one in compared}
    devices = {name: SUBJECTS[file.models[0].name] for name, file in files.items()}
    return {
        "worst p50": max(compared, key=lambda one: one.measures["p50"].error).name,
        "fewest requests of a run": {one.name: one.fewest for one in compared},
        "scenarios (live/simulated, error of what is allowed)": [one.row for one in compared],
        "plans (live/simulated share)": [one.plans for one in compared],
        "mean ms by stage (live/simulated)": [one.stages for one in compared],
        "live runs": [_live_row(one) for one in compared],
        "what ran": [f"{name:16}  {files[name].models[0].name}: {devices[name].told}" for name in files],
        "requests and runs": "quick: fewer of both" if options.quick else f"{RUNS} runs each",
        "profiles": [f"{name:16}  {one.profiles[-1]}" for name, one in sorted(measured.items())],
        "runs": {name: asdict(one) | {"loads": one.loads} for name, one in sorted(measured.items())},
    }


def _live_row(one: Compared) -> str:
    p50, p99 = (Interval(0.0, min(each), max(each)) for each in ([r.p50 for r in one.live], [r.p99 for r in one.live]))
    late = max(run.late_p99_ms for run in one.live)
    requests = "+".join(str(run.requests) for run in one.live)
    return (
        f"{one.name:16}  p50 {p50.low:.1f}-{p50.high:.1f} ms, p99 {p99.low:.1f}-{p99.high:.1f} ms, "
        f"{requests} requests, sent late by {late:.2f} ms at most (p99)"
    )


def main() -> None:
    options = parse_options(__doc__ or "", budget_s=BUDGET_S, scenarios=tuple(SCENARIOS))
    configure_logging("critical")
    report(figure(measure_all(options), options), options)


if __name__ == "__main__":
    main()
