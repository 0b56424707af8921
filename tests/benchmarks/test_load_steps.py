"""When a step in load is over for who asks."""

from __future__ import annotations

import math

import pytest

from benchmarks.judged_requests import Asked
from benchmarks.load_steps import WINDOW_S, Sent, inside_s

BEGAN_S = 100.0


def sent(*took_s: float) -> list[Sent]:
    """A request at the start of each window, which took so long; infinite: it failed."""
    made = []
    for number, seconds in enumerate(took_s):
        at_s = BEGAN_S + number * WINDOW_S
        asked = Asked(True, at_s + seconds, error="late" if math.isinf(seconds) else "")
        made.append(Sent(at_s, asked))
    return made


@pytest.mark.parametrize(
    ("took_s", "back_s", "worst_s"),
    [
        ((0.1, 0.2, 0.1), 0.0, 0.2),
        ((0.1, 0.9, 0.1), 2 * WINDOW_S, 0.9),
        ((0.9, 0.1, 0.8, 0.1), 3 * WINDOW_S, 0.9),
        ((0.1, math.inf, 0.1), 2 * WINDOW_S, math.inf),
    ],
)
def test_a_step_is_over_after_the_last_window_outside(took_s: tuple[float, ...], back_s: float, worst_s: float) -> None:
    assert inside_s(sent(*took_s), BEGAN_S) == pytest.approx((back_s, worst_s))


def test_a_step_whose_last_window_is_outside_is_not_over() -> None:
    back_s, worst_s = inside_s(sent(0.1, 0.9), BEGAN_S)
    assert math.isnan(back_s)
    assert worst_s == pytest.approx(0.9)
