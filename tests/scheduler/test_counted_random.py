"""The generator that knows whether it was drawn from."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from scheduler.counted_random import CountedRandom


def test_the_sequence_is_that_of_pythons_generator() -> None:
    counted, plain = CountedRandom(7), Random(7)
    assert [counted.choice("abcdefg") for _ in range(50)] == [plain.choice("abcdefg") for _ in range(50)]
    assert counted.random() == plain.random()


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng: rng.random(),
        lambda rng: rng.choice("ab"),
        lambda rng: rng.randrange(9),
        lambda rng: rng.gauss(0, 1),
        lambda rng: rng.shuffle([1, 2]),
        lambda rng: rng.randbytes(2),
    ],
)
def test_every_way_to_draw_counts(draw: Callable[[Random], object]) -> None:
    rng = CountedRandom(0)
    draw(rng)
    assert rng.draws > 0
