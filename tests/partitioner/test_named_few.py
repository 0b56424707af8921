"""Many names are said by the first few."""

from __future__ import annotations

import pytest

from partitioner.named_few import named_few


@pytest.mark.parametrize(
    ("count", "said"),
    [(1, "x0"), (2, "x0 and x1"), (3, "x0, x1 and x2"), (4, "x0, x1, x2 and 1 more"), (50, "x0, x1, x2 and 47 more")],
)
def test_the_first_three_are_named_and_the_rest_is_counted(count: int, said: str) -> None:
    assert named_few([f"x{at}" for at in range(count)]) == said
