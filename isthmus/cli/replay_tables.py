"""A replay's answer as a person reads it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

from isthmus.units import format_duration
from simulations.replay.answer import Counterfactual, ReplayAnswer
from simulations.replay.block_bootstrap import LEAST_BLOCKS, Interval
from simulations.replay.fates import RunTold

__all__ = ["replay_lines"]

_HEADS = ("p50", "p99", "mean")
_NAMES = ("p50_s", "p99_s", "mean_s")
_MOST_PLANS = 4


def replay_lines(answer: ReplayAnswer) -> Iterator[str]:
    """What really happened, the same replayed with its error, each other policy, and what the log does not tell."""
    ran = ", then ".join(answer.ran)
    yield f"{answer.requests} requests in {format_duration(answer.span_s)}, decided by {ran}"
    yield f"the link was seen within a second of {answer.link_seen:.0%} of them"
    yield ""
    rows = [("what happened", answer.really), (f"replayed, {ran}", answer.again)]
    rows += [(one.policy, one.told) for one in answer.others]
    yield from _table(rows)
    yield ""
    off = _changes(answer.error.changes)
    yield f"the replay is off what happened by: {off}, plans {answer.error.mix_points:.1f} points"
    for one in answer.others:
        yield from _other(one)
    yield ""
    blocks = f"{answer.blocks} blocks of the log's time resampled, - where fewer than {LEAST_BLOCKS} have a value"
    yield f"in brackets: 95 %, {blocks}, or a quantile has fewer than 5 requests beyond it; not in them:"
    yield from (f"- {caveat}" for caveat in answer.caveats)


def _other(one: Counterfactual) -> Iterator[str]:
    yield f"{one.policy} against the replay of what ran: {_changes(one.changes)}"
    for gaps, found in one.links.items():
        values = ", ".join(f"{head} {_seconds(found[name])}" for head, name in zip(_HEADS, _NAMES, strict=True))
        yield f"  where the link was not seen, the {gaps} of the two sightings: {values}"
    if one.never_ran > 0:
        yield f"  {one.never_ran:.0%} of the requests take plans that never ran in the log: they rest on costs"


def _table(rows: list[tuple[str, RunTold]]) -> Iterator[str]:
    cells = [["", *_HEADS, "in time", "ends and plans"]]
    for name, told in rows:
        values = [_bracketed(getattr(told, one), _seconds) for one in _NAMES]
        in_time = "-" if told.in_time is None else _bracketed(told.in_time, lambda share: f"{share:.1%}")
        cells.append([name, *values, in_time, _ends(told)])
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _ends(told: RunTold) -> str:
    odd = [f"{count} {end}" for end, count in told.ends.items() if end != "answered"]
    return ", ".join([*odd, *_shares(told.plans)])


def _shares(plans: Mapping[str, float]) -> list[str]:
    shown = [f"{plan} {share:.0%}" for plan, share in list(plans.items())[:_MOST_PLANS]]
    more = len(plans) - _MOST_PLANS
    return shown + [f"{more} more"] * (more > 0)


def _bracketed(interval: Interval, write: Callable[[float], str]) -> str:
    if math.isnan(interval.value):
        return "-"
    if interval.low is None or interval.high is None:
        return f"{write(interval.value)} [-]"
    return f"{write(interval.value)} [{write(interval.low)}, {write(interval.high)}]"


def _seconds(seconds: float) -> str:
    return "-" if math.isnan(seconds) else format_duration(seconds)


def _changes(changes: Mapping[str, Interval]) -> str:
    return ", ".join(f"{head} {_change(changes[name])}" for head, name in zip(_HEADS, _NAMES, strict=True))


def _change(interval: Interval) -> str:
    return _bracketed(interval, lambda share: f"{share:+.1%}")
