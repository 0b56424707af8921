"""What was found under certain facts, on disk."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from nodes.fact_cache import MOST_AGE_S, FactCache

FACTS = {"device": "a", "threads": 1, "models": {"m": "d"}}


@pytest.fixture
def cache(tmp_path: Path) -> FactCache:
    return FactCache(tmp_path / "cache")


def only_file(folder: Path) -> Path:
    [found] = (folder / "cache").iterdir()
    return found


def test_what_was_kept_is_found_under_the_same_facts_alone(cache: FactCache) -> None:
    cache.keep(FACTS, "é\n")
    assert cache.find(FACTS) == "é\n"
    assert cache.find(dict(reversed(FACTS.items()))) == "é\n"
    assert cache.find({**FACTS, "threads": 2}) is None


def test_it_is_replaced_as_a_whole_and_nothing_is_left_over(cache: FactCache, tmp_path: Path) -> None:
    cache.keep(FACTS, "one")
    cache.keep(FACTS, "two")
    assert cache.find(FACTS) == "two"
    assert only_file(tmp_path).suffix == ".json"


def test_what_was_kept_is_found_on_a_disk_that_may_only_be_read(
    cache: FactCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    cache.keep(FACTS, "text")
    monkeypatch.setattr(os, "utime", refused)
    assert cache.find(FACTS) == "text"


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"facts": {}}', "[" * 100_000, "\x00\xff"])
def test_a_damaged_entry_is_not_used(cache: FactCache, tmp_path: Path, damage: str) -> None:
    cache.keep(FACTS, "text")
    only_file(tmp_path).write_text(damage)
    assert cache.find(FACTS) is None


def test_a_text_that_was_changed_is_not_used(cache: FactCache, tmp_path: Path) -> None:
    cache.keep(FACTS, "text")
    path = only_file(tmp_path)
    path.write_text(path.read_text().replace('"text": "text"', '"text": "next"'))
    assert cache.find(FACTS) is None


@pytest.mark.parametrize(("aged_s", "found"), [(MOST_AGE_S + 60, None), (MOST_AGE_S - 60, "text"), (-1e9, "text")])
def test_what_is_old_is_not_used_whatever_a_clock_that_is_behind_says(
    cache: FactCache, tmp_path: Path, aged_s: float, found: str | None
) -> None:
    cache.keep(FACTS, "text")
    path = only_file(tmp_path)
    said = json.loads(path.read_text())
    path.write_text(json.dumps({**said, "made_s": said["made_s"] - aged_s}))
    assert cache.find(FACTS) == found


def test_what_was_used_longest_ago_goes_beyond_the_bound(tmp_path: Path) -> None:
    cache = FactCache(tmp_path / "cache", most_bytes=1000)
    for number in range(3):
        cache.keep({"number": number}, "x" * 300)
        for path in (tmp_path / "cache").iterdir():  # all a minute older than what comes next
            os.utime(path, ns=(0, path.stat().st_mtime_ns - 60 * 10**9))
        assert cache.find({"number": 0}) is not None  # and the first one used just now
    assert [cache.find({"number": number}) is not None for number in range(3)] == [True, False, True]


def test_an_entry_larger_than_the_bound_stays_alone(tmp_path: Path) -> None:
    cache = FactCache(tmp_path / "cache", most_bytes=100)
    cache.keep({"number": 0}, "x")
    cache.keep(FACTS, "x" * 300)
    assert cache.find(FACTS) == "x" * 300
    assert cache.find({"number": 0}) is None


def test_a_folder_that_cannot_be_made_keeps_nothing_and_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = FactCache(tmp_path / "file" / "cache")
    cache.keep(FACTS, "text")
    assert cache.find(FACTS) is None
