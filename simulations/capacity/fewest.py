"""The least number of which something is true that stays true of all greater ones.

Galloping (Bentley and Yao 1976) from a guess: steps double until the answer is enclosed, then it is halved. A question
costs a simulation: with a good guess three or four are asked, whatever the range.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["fewest"]


def fewest(holds: Callable[[int], bool], least: int, most: int, guess: int) -> int | None:
    """The least n from `least` to `most` of which `holds` is true; None where it is of none.

    holds: true of n + 1 where it is true of n; asked once at most of each. O(log |answer - guess|) questions.
    """
    guess = min(max(guess, least), most)
    failing, holding = _down(holds, least, guess) if holds(guess) else _up(holds, guess, most)
    if holding is None:
        return None
    while holding - failing > 1:
        middle = (failing + holding) // 2
        if holds(middle):
            holding = middle
        else:
            failing = middle
    return holding


def _down(holds: Callable[[int], bool], least: int, holding: int) -> tuple[int, int]:
    """The greatest that was found not to hold (or one below the least there is), and the least that was found to."""
    step = 1
    while holding > least:
        below = max(least, holding - step)
        if not holds(below):
            return below, holding
        holding, step = below, 2 * step
    return least - 1, holding


def _up(holds: Callable[[int], bool], failing: int, most: int) -> tuple[int, int | None]:
    step = 1
    while failing < most:
        above = min(most, failing + step)
        if holds(above):
            return failing, above
        failing, step = above, 2 * step
    return failing, None
