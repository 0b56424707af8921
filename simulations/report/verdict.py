"""The answer in two sentences: the promise, and the times."""

from __future__ import annotations

from collections.abc import Iterator

from isthmus.units import format_duration
from simulations.answers.summary import Summary
from simulations.report.bars import percent
from simulations.report.tables import said

__all__ = ["verdict"]


def verdict(answers: Summary) -> Iterator[str]:
    """A promise is kept, or broken, where the whole interval says so."""
    kept, slo = answers.all.kept_of_all, answers.slo
    if kept is not None and slo is not None:
        low, high = (kept.value if end is None else end for end in (kept.low, kept.high))
        judged = "kept" if low >= slo.share else "broken" if high < slo.share else "too close to tell"
        yield (
            f"{said(kept, percent)} of all requests were answered within {format_duration(slo.within_s)}; promised are "
            f"{percent(slo.share)}: {judged}."
        )
    times = answers.all.times_s
    if times:
        parts = [f"{name} {said(times[name], format_duration)}" for name in ("p50", "p99") if name in times]
        yield f"{answers.all.n:,} requests in {_runs(len(answers.seeds))}: {', '.join(parts)}."
    else:
        yield "Nothing was answered."


def _runs(n: int) -> str:
    return "one run" if n == 1 else f"{n} runs"
