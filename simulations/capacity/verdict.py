"""Whether a fleet keeps a promise: simulated for as long as that is open, and no longer.

The promise is about the share of requests that are answered in time. A run is cut into windows of its time; what is
counted in each is nearly independent of the others, so that the share has an interval (`answers/ratio.py`). It is
looked at now and then, ever more rarely, and as soon as it is clear of what was promised the run ends: a fleet that is
far too small shows it within a minute of simulated time, and so does one that is ample. Where the beginning of a run
does not tell of all of it (`changes_over_time`), and where a fleet is to be confirmed, it is looked at in the end of
each run only. What is open in the end of a run goes on with another one; what is open in the end of the last one does
not count as kept.

Arrivals may be alike over time, and queues not: they are empty at the start, and an overload of one in a hundred takes
a hundred times what is promised to fill them. So an early look is good for a search, and no proof.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from isthmus.errors import InvalidConfiguration
from simulations.answers.interval import Estimate
from simulations.answers.ratio import Counted
from simulations.answers.slo import Slo
from simulations.answers.stopping import looked_at, side_of
from simulations.capacity.slo_windows import SloWindows
from simulations.fleet import Fleet, FleetRun
from simulations.run_record import STAGES
from simulations.scenario.scenario import Scenario

__all__ = ["Blame", "Side", "Verdict", "blamed", "judged", "looks", "window_count"]

# A window lasts so many times what is promised, and so long at least: what piles up in one is mostly gone in the next.
_TIMES, _LEAST_S = 10.0, 5.0
_MOST_WINDOWS = 120
# The first look is at so many windows, each next one at so many times as many.
_FIRST_LOOK, _GROWTH = 5, 1.7
# Who was refused would have been later than others by so much at least, where a stage is to be blamed for it.
_STANDS_OUT_S = 1e-3
Side = Literal["above", "below", "open"]


@dataclass(frozen=True, slots=True)
class Blame:
    """What broke the promise. stage: in which the requests that were late spent the most beyond what the others did, by
    `more_s` in the mean; "unfinished" where none has ended yet; "" where none broke it. refused: most of them were not
    let in; the stage is then that in which they would have spent the most, or "refused" where none stands out."""

    stage: str
    more_s: float
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """share: of requests in time, with the interval that the looks went by: on a side it is clear of the promise, else
    it is not. simulated_s, requests: that it took."""

    side: Side
    share: Estimate
    blame: Blame
    runs: int
    simulated_s: float
    requests: int

    @property
    def holds(self) -> bool:
        """Whether the promise is kept, as surely as was asked."""
        return self.side == "above"


def judged(
    fleet: Fleet,
    slo: Slo,
    confidence: float,
    runs: range,
    *,
    early: bool,
    begun: Callable[[FleetRun], None] | None = None,
) -> Verdict:
    """confidence: that "above" and "below" are each about right with, as far as windows are independent. runs:
    replications that may be spent on it, one at least. early: it may be judged before the end of a run, as one stretch
    of its time is like another. begun: is called with each run that begins, which is recorded then. Raises
    InvalidConfiguration as `window_count` does."""
    scenario, before = fleet.scenario, list[Counted]()
    most = window_count(scenario, slo)
    moments = looks(most) if early else [most]
    all_looks, simulated_s, requests = len(runs) * len(moments), 0.0, 0
    for number, replication in enumerate(runs, 1):
        windows = SloWindows(slo, scenario.warm_up, scenario.duration, most)
        run = fleet.begin(replication, windows, recorded=begun is not None)
        if begun is not None:
            begun(run)
        for count in moments:
            run.advance(windows.settled_s(count))
            counts = [*before, *windows.counts(count)]
            last = (count, number) == (most, len(runs))
            side = side_of(slo.share, counts, all_looks, confidence, last=last)
            if side != "open" or last:
                return Verdict(
                    side=side,
                    share=looked_at(counts, all_looks, confidence) or Estimate(0.0),
                    blame=blamed(windows) if side != "above" else Blame("", 0.0),
                    runs=number,
                    simulated_s=simulated_s + windows.settled_s(count),
                    requests=requests + windows.requests,
                )
        before, simulated_s, requests = counts, simulated_s + windows.settled_s(most), requests + windows.requests
    raise AssertionError("the last look of the last run returns")


def window_count(scenario: Scenario, slo: Slo) -> int:
    """Of a run. Raises InvalidConfiguration where it has no room for those of the first look: shorter ones would not be
    independent of each other."""
    counted_s, length_s = scenario.duration - scenario.warm_up, max(_LEAST_S, _TIMES * slo.within_s)
    windows = int(counted_s / length_s * (1 + 1e-9))
    if windows < _FIRST_LOOK:
        least_s = scenario.warm_up + _FIRST_LOOK * length_s
        problem = f"leaves {counted_s:g} s to judge {_FIRST_LOOK} windows of {length_s:g} s by"
        remedy = f"set it to {least_s:g} s at least, more for a share near 1"
        raise InvalidConfiguration("duration", problem, value=scenario.duration, remedy=remedy)
    return min(_MOST_WINDOWS, windows)


def looks(windows: int) -> list[int]:
    """After how many windows: the last look is at all. Where they do not come out even the last step is shorter or
    longer, but never a look at hardly more than the one before: each costs all of them some confidence."""
    if windows < _FIRST_LOOK * _GROWTH**0.5:
        return [windows]
    counts = [_FIRST_LOOK]
    while counts[-1] * _GROWTH**1.5 < windows:
        counts.append(round(counts[-1] * _GROWTH))
    return [*counts, windows]


def blamed(windows: SloWindows) -> Blame:
    """What of a run's requests says why the promise is broken."""
    if not windows.broken and not windows.refused:
        return Blame("unfinished" if windows.kept < windows.requests else "", 0.0)
    refused = windows.refused > windows.broken
    late_s, late = (windows.refused_s, windows.refused) if refused else (windows.broken_s, windows.broken)
    kept_s = [total / max(1, windows.kept) for total in windows.kept_s]
    more_s = [total / late - kept for total, kept in zip(late_s, kept_s, strict=True)]
    place = max(range(len(STAGES)), key=more_s.__getitem__)
    if refused and more_s[place] < _STANDS_OUT_S:
        return Blame("refused", 0.0, refused)
    return Blame(STAGES[place].removesuffix("_s"), more_s[place], refused)
