"""What the roll-out benchmark makes of what it saw."""

from __future__ import annotations

import pytest

from benchmarks.compute_forms import PACED
from benchmarks.rolled_requests import Answer, Turn
from benchmarks.rollout import MODEL, Rolled, told


def test_failed_and_wrong_answers_are_told_with_the_turns() -> None:
    said = "rolled out: models.outage.source"
    turns = [Turn(MODEL, said, 0, 1, 5.0, 9.0, 3, 1), Turn(MODEL, said, 1, 0, 15.0, 19.0, 0, 0)]
    answers = [Answer(1.0, 0.1, 0, "cloud"), Answer(2.0, 0.1, 1, "cloud"), Answer(3.0, 10.0, -1, error="late")]
    lines = told(PACED, Rolled(turns, answers, [True, True], [True]))
    assert "failed: 1 of 3 {'late': 1}" in lines
    assert f"failed: {MODEL}, 8.00 s after its beginning, 4.00 s after its end, took 10.00 s: late" in lines
    assert f"sent again, late answers, by turn: {MODEL} 3 1, {MODEL} 0 0" in lines
    assert "wrong: 1" in lines
    assert any(line.startswith(MODEL) and line.endswith("4.00 4.00") for line in lines)
    assert lines.count("said: rolled out: models.outage.source") == 1


@pytest.mark.parametrize(
    ("new_code", "same_replicas", "as_asked"),
    [([True], [True], True), ([True, False], [True], False), ([True], [False], False)],
)
def test_versions_come_and_go_as_they_have_to_every_time(
    new_code: list[bool], same_replicas: list[bool], as_asked: bool
) -> None:
    assert Rolled(new_code=new_code, same_replicas=same_replicas).as_asked == as_asked
