"""A capacity search's answer as a person reads it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from isthmus.units import format_duration
from simulations.answers.interval import Estimate
from simulations.capacity.plan_answer import (
    CapacityAnswer,
    Considered,
    Found,
    QueueCheck,
    Sensitivity,
    Tried,
    WorstGroup,
)
from simulations.capacity.verdict import Blame

__all__ = ["blame_words", "capacity_lines"]

_SIDES = {"above": "yes", "below": "no", "open": "too near to tell"}
_WORDS = {
    "refused": "the edges' admission: no wait stands out",
    "edge_queue": "the edges' compute: requests wait for it",
    "edge": "the edges' compute: prefixes take too long",
    "uplink": "the uplinks: requests wait for them, or cross too slowly",
    "cloud_queue": "the replicas: requests wait for them",
    "cloud": "the replicas: suffixes take too long",
    "downlink": "the downlinks",
    "finish": "the edges' compute: they finish what the cloud did not answer",
    "unfinished": "work that piles up",
}
_NOT_CONFIRMED = "not confirmed"  # by whole runs: told by how they begin
_NONE = "no fleet that may be keeps it: see what breaks those that were tried, and capacity.replicas.most"
_NOT_SURE = (
    "no fleet surely keeps it, and of some that may there are too few requests to tell: set a longer duration, or more "
    "replications"
)


def capacity_lines(answer: CapacityAnswer) -> Iterator[str]:
    """The fleet, why it is no smaller, how far it goes, what else was looked at, and what is taken for granted."""
    promised = f"{answer.slo.share:.6g} of the requests within {format_duration(answer.slo.within_s)}"
    yield f"{answer.scenario}: {promised}, with a confidence of {answer.confidence:g}"
    yield ""
    if answer.found is None:
        yield _NOT_SURE if any(map(answer.may_keep, answer.tried)) else _NONE
    else:
        yield from _found(answer.found, answer)
    yield ""
    yield from _table(("tried", "replicas", "in time", "keeps it", "what is late"), map(_tried, answer.tried))
    if len(answer.considered) > 1:
        yield ""
        yield from _table(
            ("considered", "fewest that keep it", f"{answer.currency or 'price'} an hour"),
            [(one.choice, _fewest(one), _price(one.per_hour)) for one in answer.considered],
        )
    yield ""
    yield f"taken for granted ({answer.requests:,} requests were simulated):"
    yield from (f"- {one}" for one in answer.assumptions)


def blame_words(blame: Blame) -> str:
    """What breaks a promise."""
    if not blame.stage:
        return "-"
    more = f" ({format_duration(blame.more_s)} more than others)" if blame.more_s > 0.0 else ""
    refused = "; most of what is late was not let in" if blame.refused else ""
    return _WORDS[blame.stage] + more + refused


def _found(found: Found, answer: CapacityAnswer) -> Iterator[str]:
    price = "" if found.per_hour is None else f": {_price(found.per_hour)} {answer.currency} an hour"
    yield f"the cheapest fleet: {found.replicas} replicas, {found.choice}{price}"
    if found.cost is not None and found.per_hour is not None and found.cost.per_hour.value > 1.001 * found.per_hour:
        yield f"  with its traffic {_price(found.cost.per_hour.value)} {answer.currency} an hour"
    yield f"  {_share(found.verdict.share)} in time when it was clear; {_share(found.confirmed.share)} in whole runs"
    if found.worst is not None:
        yield f"  {_worst(found.worst, answer.slo.share)}"
    for one in found.utilisation:
        yield f"  {one.kind} {one.group}: busy {one.share.value:.0%} of the time, the busiest {one.busiest:.0%}"
    yield ""
    if found.less is not None:
        less = found.less
        whole = " in whole runs" if less.whole else ""
        yield f"one replica less: {_share(less.share)} in time{whole}, {_SIDES[less.side]}: {blame_words(less.blame)}"
    yield f"what binds: {_binding(found)}"
    yield from _headroom(found)
    if found.queue is not None:
        yield from _queue(found.queue)
    yield ""
    yield from _table(
        ("what if", "in time", "keeps it", "replicas needed", "what is late"), map(_what_if, found.sensitivities)
    )
    yield from (f"left out, {one}" for one in found.left_out)


def _fewest(one: Considered) -> str:
    if one.replicas is not None:
        return str(one.replicas)
    return "none that would be cheaper" if one.cheaper_only else "none that may be"


def _worst(worst: WorstGroup, promised: float) -> str:
    """The promise is about all requests together."""
    name = worst.name or "of none"
    said = f"the worst served, {worst.kind} {name}: {_share(worst.share)} in time"
    return f"{said}, BELOW what is promised of all together" if worst.share.value < promised else said


def _binding(found: Found) -> str:
    """What binds; where nothing was seen to, why not."""
    words, less, room = blame_words(found.binding), found.less, found.headroom
    if less is not None and less.side == "below":
        return words
    nothing, why = "nothing that was seen", "one replica less is too near to tell"
    if less is None:
        least = "replica is the least" if found.replicas == 1 else "replicas are the least"
        nothing, why = "nothing", f"{found.replicas} {least} that there may be"
    if found.binding.stage:
        return f"{words}, with more edges; {why}"
    roomy = "of more edges it is too near to tell"
    if room.breaks is None:
        roomy = f"{room.keeps} edges keep it, too" + ("" if room.whole else f" ({_NOT_CONFIRMED})")
    return f"{nothing}: {why}, and {roomy}"


def _headroom(found: Found) -> Iterator[str]:
    room = found.headroom
    keeps = f"{room.keeps - room.now} more than {room.now} edges keep it"
    if room.keeps > room.now and not room.whole:
        keeps += f" ({_NOT_CONFIRMED})"
    if room.breaks is None:
        limit = f", and more there may not be: {room.limit}" if room.limit else ""
        none = f"no number up to {room.keeps} was found that does not"
        yield f"how many more edges until it breaks: {keeps}; {none}{limit}"
        return
    more = room.breaks - room.now
    breaks = f"{more} more break it" if room.side == "below" else f"with {more} more it is too near to tell"
    late = f": {blame_words(room.blame)}" if room.blame.stage else ""
    yield f"how many more edges until it breaks: {keeps}, {breaks}{late}"


def _queue(check: QueueCheck) -> Iterator[str]:
    theory = check.theory
    if not check.poisson:
        yield f"waiting for a replica, mean: {_estimate_s(check.simulated)} simulated; no theory for such arrivals"
        return
    joint, apart, most = (_seconds(one) for one in (theory.joint_s, theory.apart_s, theory.bound_s))
    yield f"waiting for a replica, mean: {_estimate_s(check.simulated)} simulated; by theory {joint}"
    yield f"  with one queue for all (M/G/{theory.replicas}, Lee and Longton), {apart} with queues apart,"
    yield f"  at most {most} (Kingman)"
    yield (
        f"  {theory.rate_per_s:.4g} requests a second of {_seconds(theory.service_s)} each (variation "
        f"{theory.service_variation:.2f}), load {theory.load:.2f}: {_plausible(check)}"
    )


def _plausible(check: QueueCheck) -> str:
    if check.plausible is None:
        return f"theory does not fit: it has no batching, and load is {check.theory.load:.2f} >= 1"
    batched = "; replicas batch, which theory does not know" if check.batched else ""
    said = "of the size that theory has" if check.plausible else "NOT of the size that theory has: look into it"
    return said + batched


def _tried(one: Tried) -> Sequence[str]:
    choice = f"{one.choice}, in whole runs" if one.whole else one.choice
    return choice, str(one.replicas), _share(one.share), _SIDES[one.side], blame_words(one.blame)


def _what_if(one: Sensitivity) -> Sequence[str]:
    needed, keeps = "more than may be" if one.replicas is None else str(one.replicas), _SIDES[one.side]
    if not one.whole:
        needed += "" if one.replicas is None else f", {_NOT_CONFIRMED}"
        keeps += f", {_NOT_CONFIRMED}" if one.side == "above" else ""
    return one.change, _share(one.share), keeps, needed, blame_words(one.blame)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    cells = [heads, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _share(share: Estimate) -> str:
    between = "" if share.low is None or share.high is None else f" [{share.low:.2%}, {share.high:.2%}]"
    return f"{share.value:.2%}{between}"


def _estimate_s(one: Estimate) -> str:
    between = "" if one.low is None or one.high is None else f" [{_seconds(one.low)}, {_seconds(one.high)}]"
    return f"{_seconds(one.value)}{between}"


def _seconds(seconds: float) -> str:
    return "without end" if math.isinf(seconds) else format_duration(seconds)


def _price(per_hour: float | None) -> str:
    return "-" if per_hour is None else f"{per_hour:.4g}"
