"""Fuzzing in short: hostile inputs of every kind, and proof that what fuzzing looks for would be found."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from benchmarks.fuzz import Finding, fuzz
from benchmarks.fuzz_files import all_targets
from benchmarks.fuzz_mutation import Mutator
from benchmarks.fuzz_targets import Target
from isthmus.errors import InvalidRequest

CASES = 6_000


@pytest.fixture(scope="module")
def targets() -> Sequence[Target]:
    return all_targets()


def test_hostile_inputs_are_answered_or_refused(targets: Sequence[Target]) -> None:
    done = fuzz(targets, seed=1, first=0, after=CASES, budget_s=60)
    assert done.findings == []
    assert done.after == CASES


def test_every_reader_both_answers_and_refuses(targets: Sequence[Target]) -> None:
    outcomes = fuzz(targets, seed=2, first=0, after=CASES // 2, budget_s=60).outcomes
    assert {f"{target.name}, {said}" for target in targets for said in ("answered", "refused")} <= set(outcomes)


class Broken:
    """Fails now and then, as no reader shall."""

    name = "broken"

    def run(self, mutator: Mutator) -> None:
        if mutator.often(0.1):
            raise ZeroDivisionError("by nought")
        raise InvalidRequest("x", "is hostile")


class Endless:
    """Never comes back."""

    name = "endless"

    def run(self, mutator: Mutator) -> None:
        while True:
            time.monotonic()


def test_what_is_no_declared_error_is_found() -> None:
    done = fuzz([Broken()], seed=0, first=0, after=100, budget_s=60)
    assert 0 < len(done.findings) == done.outcomes["broken, raised"] < 100
    assert "ZeroDivisionError" in done.findings[0].what


def test_a_case_is_the_same_in_whatever_piece_it_runs(targets: Sequence[Target]) -> None:
    whole = fuzz([Broken()], seed=0, first=0, after=100, budget_s=60)
    pieces = [fuzz([Broken()], seed=0, first=first, after=first + 50, budget_s=60) for first in (0, 50)]
    assert [finding for piece in pieces for finding in piece.findings] == whole.findings


def test_what_does_not_end_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.fuzz.MOST_CPU_S", 0.05)
    done = fuzz([Endless()], seed=0, first=0, after=1, budget_s=60)
    assert done.findings == [Finding("endless", 0, "took more than 0.05 s")]
