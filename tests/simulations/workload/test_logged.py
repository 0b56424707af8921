"""Requests of a decision log as arrivals: all that a client asked for, at its time."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import zstandard

from isthmus.errors import IsthmusError
from nodes.chooser import Asked, ChoiceRequest
from simulations.workload.logged import Logged, read_logged
from tests.simulations.replay.logs import EDGE, TABLE, decided, ended, lines_of, refused, written


def asked(came_s: float, batch: int = 1, file_bytes: int = 50_000, **facts: Any) -> ChoiceRequest:
    return ChoiceRequest(TABLE, "bytes", batch, file_bytes, came_s=came_s, now_s=came_s + 0.1, **facts)


FIRST = asked(
    1000.5, 2, 70_000, remaining_s=0.4, asked_s=0.9, priority=1, client="till", request_class="pay", plan_id="p"
)
LATER = asked(1002.0)


def test_each_request_is_as_it_was_asked_and_the_first_comes_at_zero(tmp_path: Path) -> None:
    log = written(tmp_path / "a.jsonl", lines_of([decided(FIRST, EDGE), ended(), decided(LATER, EDGE)]))
    first, later = read_logged(log).requests
    assert first.timeout_s == pytest.approx(0.5)  # 0.4 s were left when its turn came, 0.1 s later
    assert replace(first, timeout_s=None) == Asked(
        0.0, "net", "bytes", 2, 70_000, None, 1, "till", "pay", "", "p", asked_s=0.9
    )
    assert (later.came_s, later.timeout_s, later.client) == (1.5, None, "")


def test_who_was_refused_came_too(tmp_path: Path) -> None:
    log = written(tmp_path / "a.jsonl", lines_of([decided(LATER, EDGE), refused(1001.0, client="van", batch=3)]))
    assert [(one.came_s, one.client, one.batch) for one in read_logged(log).requests] == [(0.0, "van", 3), (1.0, "", 1)]


def test_a_folder_is_read_whole_its_compressed_files_too(tmp_path: Path) -> None:
    one = written(tmp_path / "1.jsonl", lines_of([decided(FIRST, EDGE)]))
    (tmp_path / "1.jsonl.zst").write_bytes(zstandard.compress(one.read_bytes()))
    one.unlink()
    written(tmp_path / "2.jsonl", lines_of([decided(LATER, EDGE)]))
    assert [one.file_bytes for one in read_logged(tmp_path).requests] == [70_000, 50_000]


def test_a_log_that_has_grown_is_read_anew(tmp_path: Path) -> None:
    log = written(tmp_path / "a.jsonl", lines_of([decided(FIRST, EDGE)]))
    assert len(read_logged(log).requests) == 1
    written(log, lines_of([decided(FIRST, EDGE), decided(LATER, EDGE)]))
    assert len(read_logged(log).requests) == 2


@pytest.mark.parametrize("text", ["", "0.5\n1.0\n", '{"kind":"log","version":1}\n', '{"kind":"log","version":3}\n'])
def test_what_is_no_log_of_requests_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.jsonl").write_text(text)
    with pytest.raises(IsthmusError):
        read_logged(tmp_path)


def test_where_no_log_is_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(IsthmusError, match=r"no \*\.jsonl"):
        read_logged(tmp_path / "nowhere")


def of_sizes(*requests: tuple[float, int], start_s: float | None = 0.0) -> Logged:
    return Logged.of(
        tuple(Asked(at, "net", "bytes", 1, size, None, 0, "", "", "", "", asked_s=None) for at, size in requests),
        start_s,
    )


def test_what_was_before_the_start_comes_after_the_end_and_each_stays_what_it_was() -> None:
    logged = of_sizes((0.0, 10), (0.5, 20), (3.0, 30), start_s=0.5)
    found = [(one.came_s, one.file_bytes) for one in logged.played(random.Random(1), math.inf)]
    assert found == [(0.0, 20), (2.5, 30), (4.0, 10)]  # after the last one a gap like the mean


def test_clients_that_begin_anywhere_ask_all_of_it_once_and_not_as_one() -> None:
    logged = of_sizes((0.0, 10), (0.5, 20), (3.0, 30), start_s=None)
    plays = [list(logged.played(random.Random(seed), math.inf)) for seed in range(20)]
    assert len({play[0].came_s for play in plays}) == 20
    for play in plays:
        assert sorted(one.file_bytes for one in play) == [10, 20, 30]
        assert all(one.came_s <= other.came_s for one, other in pairwise(play))


def test_only_what_comes_before_the_end_is_asked() -> None:
    assert [one.file_bytes for one in of_sizes((0.0, 10), (3.0, 30)).played(random.Random(1), 3.0)] == [10]
