"""A link's bandwidth as a Markov chain, fitted to a recording: links that behave like it, as many as are wanted.

States are quantile bins of the bandwidth in steps of equal length, so that each is seen equally often, as in the
finite-state channel of Wang and Moayeri (IEEE Transactions on Vehicular Technology 44(1), 1995); a state's bandwidth is
the mean of its bin. The recording starts over when it ends, so the first step follows the last one: every state is left
and entered equally often, and the chain's long-run shares and mean bandwidth are exactly those of the recording. What
it does not keep is memory beyond a step: a tunnel or a cell's edge lasts geometrically long here.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from random import Random

from isthmus.errors import InvalidConfiguration
from partitioner.plain_json import STRICT, read_json, write_json
from simulations.bandwidth_trace import DEAD_BPS, BandwidthTrace
from simulations.line_capacity import LineCapacity

__all__ = ["MarkovLink", "fit_markov_link", "read_markov_link"]

_SUM_SLACK = 1e-6
_MOST_STEPS = 10_000_000
_ROUNDING = 1e-6  # of sums over hours


@dataclass(frozen=True, slots=True)
class MarkovLink:
    """bandwidths_bps: of each state, rising. shares: how much of the time is spent in each. transitions[i][j]: how
    likely state j follows state i after `step_s`. fitted_to: what it was made of, in words.

    Raises InvalidConfiguration where the numbers are no chain.
    """

    __pydantic_config__ = STRICT
    step_s: float
    bandwidths_bps: tuple[float, ...]
    shares: tuple[float, ...]
    transitions: tuple[tuple[float, ...], ...]
    fitted_to: str = ""

    def __post_init__(self) -> None:
        states = len(self.bandwidths_bps)
        if not 0.0 < self.step_s < math.inf:
            raise _bad("step_s", "must be above 0 and finite", self.step_s)
        if not states or not all(0.0 < bps < math.inf for bps in self.bandwidths_bps):
            raise _bad("bandwidths_bps", "must be above 0 and finite, one a state", self.bandwidths_bps)
        if len(self.transitions) != states:
            raise _bad("transitions", f"must have a row for each of {states} states", len(self.transitions))
        _check_row("shares", self.shares, states)
        for number, row in enumerate(self.transitions):
            _check_row(f"transitions.{number}", row, states)

    def first_state(self, rng: Random) -> int:
        """In which a link is at some moment."""
        return _drawn(tuple(accumulate(self.shares)), rng)

    def states(self, rng: Random, state: int) -> Iterator[int]:
        """That state, and what follows it, step by step, without end."""
        rows = [tuple(accumulate(row)) for row in self.transitions]
        while True:
            yield state
            state = _drawn(rows[state], rng)

    def scaled(self, factor: float) -> MarkovLink:
        """With so many times the bandwidth in each state; a dead one stays dead."""
        scaled = (bps if bps <= DEAD_BPS else factor * bps for bps in self.bandwidths_bps)
        return replace(self, bandwidths_bps=tuple(scaled))

    def to_json(self) -> str:
        """Readable, with sorted keys."""
        return write_json(self)


def fit_markov_link(trace: BandwidthTrace, step_s: float = 1.0, states: int = 8, fitted_to: str = "") -> MarkovLink:
    """The chain of a recording: as many states as asked for, fewer where the bandwidth takes fewer values.

    Raises InvalidConfiguration where the recording has no two steps, or there is no state.
    """
    if states < 1:
        raise _bad("states", "must be 1 or more", states)
    if not 0.0 < step_s < math.inf:
        raise _bad("step_s", "must be above 0 and finite", step_s)
    steps = round(trace.period_s / step_s) if math.isfinite(trace.period_s) else 0
    if not 2 <= steps <= _MOST_STEPS:
        problem = f"must have 2 to {_MOST_STEPS} steps of {step_s:g} s"
        raise InvalidConfiguration("trace", problem, value=steps, remedy="give a longer one, or another step")
    capacity, length_s = LineCapacity(trace), trace.period_s / steps
    means_bps = [capacity.bits(one * length_s, (one + 1) * length_s) / length_s for one in range(steps)]
    # Differences of long sums: a dead step is dead but for a rounding.
    dead = (DEAD_BPS if bps <= DEAD_BPS * (1 + _ROUNDING) else bps for bps in means_bps)
    return _chain(tuple(dead), states, length_s, fitted_to)


def read_markov_link(path: Path) -> MarkovLink:
    """The file that `to_json` wrote. Raises InvalidConfiguration naming the key at fault."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InvalidConfiguration("markov link", f"cannot be read: {error}", value=str(path)) from error
    return read_json(MarkovLink, text, InvalidConfiguration, "markov link")


def _chain(means_bps: Sequence[float], states: int, step_s: float, fitted_to: str) -> MarkovLink:
    ordered = sorted(means_bps)
    # A bin begins at each quantile; equal ones are one bin. Where the link was dead that is one of its own: a step that
    # was so in part is not.
    dead = bisect_right(ordered, DEAD_BPS) if states > 1 else 0
    alive, bins = ordered[dead:], states - (dead > 0)
    begins = sorted({*ordered[: min(dead, 1)], *(alive[one * len(alive) // bins] for one in range(bins) if alive)})
    placed = [bisect_right(begins, bps) - 1 for bps in means_bps]
    moves = Counter(zip(placed, [*placed[1:], placed[0]], strict=True))
    counts = Counter(placed)
    return MarkovLink(
        step_s=step_s,
        bandwidths_bps=tuple(
            math.fsum(bps for bps, state in zip(means_bps, placed, strict=True) if state == one) / counts[one]
            for one in range(len(begins))
        ),
        shares=tuple(counts[one] / len(placed) for one in range(len(begins))),
        transitions=tuple(
            tuple(moves[one, other] / counts[one] for other in range(len(begins))) for one in range(len(begins))
        ),
        fitted_to=fitted_to,
    )


def _drawn(cumulated: tuple[float, ...], rng: Random) -> int:
    """The sum may be a rounding below 1."""
    return min(bisect_right(cumulated, rng.random() * cumulated[-1]), len(cumulated) - 1)


def _check_row(field: str, row: Sequence[float], states: int) -> None:
    if len(row) != states or not all(0.0 <= one <= 1.0 for one in row) or abs(math.fsum(row) - 1.0) > _SUM_SLACK:
        raise _bad(field, f"must be {states} probabilities whose sum is 1", tuple(row))


def _bad(field: str, problem: str, value: object) -> InvalidConfiguration:
    remedy = "fit it to a recording anew"
    return InvalidConfiguration(f"markov link.{field}", problem, value=value, remedy=remedy)
