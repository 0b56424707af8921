"""How the benchmarks measure, judge and report: A against B in one run, a noise floor, one JSON object.

The method, for figures that are ratios: every round measures A once and B twice, in random order. The value is the
median of A/B over the rounds with a bootstrap interval; the floor is the same of B/B, so it shows what this machine
calls a difference where there is none.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Literal

__all__ = [
    "Figure",
    "Interval",
    "Options",
    "PairedSamples",
    "bootstrap",
    "count_figure",
    "machine",
    "measure_pairs",
    "microseconds",
    "parse_options",
    "ratio_figure",
    "report",
    "verdict",
]

_RESAMPLES = 2000
_RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"

Better = Literal["lower", "higher"]


@dataclass(frozen=True, slots=True)
class Options:
    """What every benchmark takes on its command line."""

    quick: bool
    as_json: bool
    record: bool
    seed: int
    engines: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    budget_s: float = 0.0
    sizes: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and the 95 % interval around it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PairedSamples:
    """What each round measured, in seconds or any one unit: A, B, and B once more."""

    a: tuple[float, ...]
    b: tuple[float, ...]
    b_again: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure as it is reported. `value`, `low`, `high`, `floor` and `goal` share a unit; `verdict` is in words.

    details: whatever else the reader needs: absolute times, what ran on which core, what limits the figure.
    """

    figure: str
    value: float
    low: float
    high: float
    floor: float
    n: int
    goal: float
    holds: bool
    machine: str
    seed: int
    verdict: str = ""
    details: Mapping[str, object] = field(default_factory=dict)


def parse_options(
    description: str,
    *,
    engines: bool = False,
    budget_s: float = 0.0,
    sizes: Sequence[str] = (),
    scenarios: Sequence[str] = (),
) -> Options:
    """The command line of a benchmark: --quick, --json, --record, --seed; --engines and --models where it measures
    chosen ones, --budget, with `budget_s` for its default, where it goes on for as long as it is told, --sizes and
    --scenarios where there are such to choose from."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="the same on fewer cases, within 120 s")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--record", action="store_true", help="also write docs/results/NAME.json and .md")
    parser.add_argument("--seed", type=int, default=0)
    if engines:
        parser.add_argument("--engines", nargs="+", default=(), help="measure these engines only")
        parser.add_argument("--models", nargs="+", default=(), help="with --engines: these of the built-in models only")
    if budget_s:
        parser.add_argument("--budget", type=float, default=budget_s, metavar="SECONDS", help="how long it goes on")
    if sizes:
        parser.add_argument("--sizes", nargs="+", default=(), choices=sizes, help="measure these only; all by default")
    if scenarios:
        told = f"run these only: {', '.join(scenarios)}"
        parser.add_argument("--scenarios", nargs="+", default=(), choices=scenarios, metavar="NAME", help=told)
    given = parser.parse_args()
    engine_names, models = (tuple(given.engines), tuple(given.models)) if engines else ((), ())
    budget_s = given.budget if budget_s else 0.0
    chosen = tuple(given.sizes) if sizes else ()
    named = tuple(given.scenarios) if scenarios else ()
    return Options(given.quick, given.json, given.record, given.seed, engine_names, models, budget_s, chosen, named)


def measure_pairs(a: Callable[[], float], b: Callable[[], float], rounds: int, seed: int) -> PairedSamples:
    """Measure A, B and B again `rounds` times, interleaved in random order; a first round is discarded."""
    order = random.Random(seed)
    samples: tuple[list[float], list[float], list[float]] = ([], [], [])
    for number in range(rounds + 1):
        measured = {which: (a if which == 0 else b)() for which in order.sample(range(3), 3)}
        if number > 0:
            for which, value in measured.items():
                samples[which].append(value)
    return PairedSamples(tuple(samples[0]), tuple(samples[1]), tuple(samples[2]))


def bootstrap(values: Sequence[float], seed: int, statistic: Callable[[Sequence[float]], float] = median) -> Interval:
    """`statistic` of `values` with its percentile bootstrap interval (Efron 1979; 2,000 resamples, 95 %)."""
    source = random.Random(seed)
    resampled = sorted(statistic(source.choices(values, k=len(values))) for _ in range(_RESAMPLES))
    return Interval(statistic(values), resampled[int(0.025 * _RESAMPLES)], resampled[int(0.975 * _RESAMPLES)])


def ratio_figure(
    name: str,
    samples: PairedSamples,
    goal: float,
    options: Options,
    *,
    better: Better = "lower",
    details: Mapping[str, object] | None = None,
) -> Figure:
    """The figure "median of A/B", judged against `goal` and the floor of the same run."""
    ratio = bootstrap([a / b for a, b in zip(samples.a, samples.b, strict=True)], options.seed)
    floor = bootstrap([again / b for again, b in zip(samples.b_again, samples.b, strict=True)], options.seed)
    words = verdict(ratio, floor, goal, better)
    own = {
        "a_median": median(samples.a),
        "b_median": median(samples.b),
        "floor_low": floor.low,
        "floor_high": floor.high,
    }
    return Figure(
        name,
        ratio.value,
        ratio.low,
        ratio.high,
        floor.value,
        len(samples.a),
        goal,
        words == "holds",
        machine(),
        options.seed,
        words,
        own | dict(details or {}),
    )


def count_figure(
    name: str, bad: int, n: int, options: Options, *, holds: bool = True, details: Mapping[str, object]
) -> Figure:
    """How many of `n` went wrong, where none may. holds: whether all else that the figure asks for was seen."""
    held = holds and bad == 0
    numbers = (float(bad), float(bad), float(bad), 0.0, n, 0.0, held)
    return Figure(name, *numbers, machine(), options.seed, "holds" if held else "missed", details)


def microseconds(figure: Figure, which: Literal["a", "b"]) -> float:
    """The median of one side of a ratio figure that was measured in seconds."""
    return 1e6 * float(str(figure.details[f"{which}_median"]))


def verdict(value: Interval, floor: Interval, goal: float, better: Better = "lower") -> str:
    """ "holds", "missed", or "cannot be told on this machine" where noise alone spans the goal's distance from 1."""
    noise = max(floor.high, 1 / floor.low)
    margin = max(goal, 1 / goal)
    if margin > 1 and noise > margin:
        return "cannot be told on this machine"
    allowance = max(1.0, floor.value)
    if better == "lower":
        met = value.low <= goal or value.value <= goal * allowance
    else:
        met = value.high >= goal or value.value >= goal / allowance
    return "holds" if met else "missed"


def machine() -> str:
    """The machine in one line: processor, cores, memory, system, Python, and its load now."""
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    load = os.getloadavg()[0]
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{_processor()}, {os.cpu_count()} cores, {gigabytes:.0f} GB, {system}, load {load:.1f}"


def report(figure: Figure, options: Options) -> None:
    """Print the figure, and record it where asked."""
    figure = _without_noise(figure)
    print(json.dumps(asdict(figure)) if options.as_json else _text(figure))
    if options.record:
        _record(figure)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _without_noise(figure: Figure) -> Figure:
    """Six digits: more only look exact."""
    value, low, high, floor = (float(f"{x:.6g}") for x in (figure.value, figure.low, figure.high, figure.floor))
    return replace(figure, value=value, low=low, high=high, floor=floor)


def _text(figure: Figure) -> str:
    head = (
        f"{figure.figure}: {figure.value:.4g} [{figure.low:.4g}, {figure.high:.4g}], goal {figure.goal:g}, "
        f"floor {figure.floor:.4g}, n {figure.n}: {figure.verdict or ('holds' if figure.holds else 'missed')}"
    )
    lines = [f"  {name}: {_lines(value)}" for name, value in figure.details.items()]
    return "\n".join([head, *lines, f"  machine: {figure.machine}", f"  seed: {figure.seed}"])


def _lines(value: object) -> object:
    """Lists of text as a table, a row a line."""
    rows = isinstance(value, list) and all(isinstance(row, str) for row in value)
    return "\n    ".join(["", *value]) if isinstance(value, list) and rows else value


def _record(figure: Figure) -> None:
    made = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "command": shlex.join(["python", *sys.argv]),
    }
    _RESULTS.mkdir(parents=True, exist_ok=True)
    content = json.dumps(asdict(figure) | made, indent=2)
    (_RESULTS / f"{figure.figure}.json").write_text(content + "\n", encoding="utf-8")
    rows = "\n".join(f"- {name}: {value}" for name, value in made.items())
    page = f"# {figure.figure}\n\nWritten by the benchmark.\n\n```\n{_text(figure)}\n```\n\n{rows}\n"
    (_RESULTS / f"{figure.figure}.md").write_text(page, encoding="utf-8")


def _commit() -> str:
    """The commit that was measured; "-dirty" where files differ from it."""
    answer = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=_RESULTS.parent.parent, capture_output=True, text=True
    )
    return answer.stdout.strip() or "unknown"
