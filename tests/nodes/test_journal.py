"""A journal on disk: everything is written, nothing waits, the oldest goes."""

from __future__ import annotations

import errno
import os
import time
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import pytest
import zstandard

from isthmus.errors import InvalidConfiguration
from nodes import journal
from nodes.journal import FILES, Journal, oldest_first


class Lines:
    """Items are numbers: one line of 100 bytes each."""

    def begin_file(self) -> bytes:
        return b"begin\n"

    def encode(self, item: object) -> bytes:
        return f"{item:099d}\n".encode()


def written(folder: Path) -> list[bytes]:
    """Every line, file by file."""
    texts = []
    for path in oldest_first(folder.iterdir()):
        data = path.read_bytes()
        texts.append(zstandard.decompress(data, 10**7) if path.suffix == ".zst" else data)
    return [line for text in texts for line in text.splitlines()]


def numbers(folder: Path) -> list[int]:
    return [int(line) for line in written(folder) if line != b"begin"]


def test_what_is_put_is_written_in_order_by_the_end(tmp_path: Path) -> None:
    kept = Journal(tmp_path / "new", 10**6, Lines(), "log.folder")
    for number in range(1000):
        kept.put(number)
    kept.close()
    assert numbers(tmp_path / "new") == list(range(1000))
    assert kept.lost == 0


def test_files_are_bounded_compressed_and_begin_alike(tmp_path: Path) -> None:
    kept = Journal(tmp_path, 80_000, Lines(), "log.folder")
    for number in range(500):
        kept.put(number)
    kept.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert [name.endswith(".jsonl.zst") for name in names] == [True] * (len(names) - 1) + [False]
    assert written(tmp_path).count(b"begin") == len(names) == 5
    assert numbers(tmp_path) == list(range(500))


class Named(Lines):
    """The first item of a file tells what the others name."""

    told = False

    def begin_file(self) -> bytes:
        self.told = False
        return b"begin\n"

    def encode(self, item: object) -> bytes:
        first, self.told = not self.told, True
        return (b"names\n" if first else b"") + super().encode(item)


def test_each_file_tells_by_itself_what_its_items_name(tmp_path: Path) -> None:
    kept = Journal(tmp_path, 80_000, Named(), "log.folder")
    for number in range(500):
        kept.put(number)
    kept.close()
    lines = written(tmp_path)
    assert lines.count(b"begin") > 2
    assert all(after == b"names" for line, after in pairwise(lines) if line == b"begin")


class Failing:
    """A file on a disk that is full once."""

    def __init__(self, file: BinaryIO, failures: list[str]) -> None:
        self._file, self._failures = file, failures

    def write(self, data: bytes) -> int:
        if self._failures:
            self._failures.pop()
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._file.write(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


def test_after_a_write_that_failed_another_file_begins(tmp_path: Path) -> None:
    """What was told once may be what is lost."""
    kept = Journal(tmp_path, 10**6, Named(), "log.folder")
    kept.put(0)
    kept._write_waiting()
    assert kept._file is not None
    kept._file = Failing(kept._file, ["full"])  # type: ignore[assignment]
    for number in (1, 2, 3):
        kept.put(number)
    kept.close()
    lines = written(tmp_path)
    assert [line for line in lines if not line.isdigit()] == [b"begin", b"names", b"begin", b"names"]
    assert [int(line) for line in lines if line.isdigit()] == [0, 2, 3]
    assert kept.lost == 1


def test_the_oldest_files_go_those_of_earlier_journals_first(tmp_path: Path) -> None:
    (tmp_path / "20000101T000000Z-1-000000.jsonl").write_bytes(b"x" * 79_000)
    foreign = [tmp_path / name for name in ("notes.txt", "mine.jsonl", "20000101-mine.jsonl.zst", "0.unfinished")]
    for path in foreign:
        path.write_bytes(b"y" * 100_000)
    kept = Journal(tmp_path, 80_000, Random(), "log.folder")
    for number in range(3000):
        kept.put(number)
    kept.close()
    assert all(path.exists() for path in foreign)
    assert not (tmp_path / "20000101T000000Z-1-000000.jsonl").exists()
    assert sum(path.stat().st_size for path in tmp_path.iterdir() if path not in foreign) <= 80_000 + 80_000 // FILES


def test_files_stay_in_order_where_a_clock_is_set_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for start, year in enumerate((2026, 1970, 2001)):
        stamp = f"{year}0101T000000Z"
        monkeypatch.setattr("nodes.journal.time.strftime", lambda *_, stamp=stamp: stamp)
        kept = Journal(tmp_path, 80_000, Lines(), "log.folder")
        for number in range(200 * start, 200 * (start + 1)):
            kept.put(number)
        kept.close()
    foreign = tmp_path / "9-mine.jsonl"
    foreign.write_bytes(b"")
    files = oldest_first(tmp_path.iterdir())
    assert files[0] == foreign
    assert numbers(tmp_path) == list(range(600))
    assert [path.name.split("-")[1][:4] for path in files[1:]] == sorted(
        (path.name.split("-")[1][:4] for path in files[1:]), key=["2026", "1970", "2001"].index
    )


def test_the_newest_files_stay_where_a_clock_is_set_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for year in (2026, 1970):
        stamp = f"{year}0101T000000Z"
        monkeypatch.setattr("nodes.journal.time.strftime", lambda *_, stamp=stamp: stamp)
        kept = Journal(tmp_path, 80_000, Random(), "log.folder")
        for number in range(1600):
            kept.put(number)
        kept.close()
    assert {path.name.split("-")[1][:4] for path in tmp_path.iterdir()} == {"1970"}


class Random(Lines):
    """Lines that do not compress."""

    def encode(self, item: object) -> bytes:
        return os.urandom(49).hex().encode() + b"\n"


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InvalidConfiguration, match=r"log\.folder: cannot be written"):
        Journal(tmp_path / "file", 10**6, Lines(), "log.folder")


def test_a_disk_that_is_full_at_the_start_loses_items_until_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")

    def begin_file(_: Lines) -> bytes:
        raise full

    monkeypatch.setattr(journal, "_WRITE_EVERY_S", 0.001)
    with monkeypatch.context() as patch:
        patch.setattr(Lines, "begin_file", begin_file)
        kept = Journal(tmp_path, 10**6, Lines(), "log.folder")
        kept.put(1)
        while not kept.lost:
            time.sleep(0.001)
    kept.put(2)
    kept.close()
    assert numbers(tmp_path) == [2]
    assert kept.lost == 1


def test_more_than_may_wait_is_counted_and_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MOST_WAITING", 10)
    monkeypatch.setattr(journal, "_WRITE_EVERY_S", 60.0)
    kept = Journal(tmp_path, 10**6, Lines(), "log.folder")
    for number in range(25):
        kept.put(number)
    kept.close()
    assert numbers(tmp_path) == list(range(10))
    assert kept.lost == 15


def test_an_item_that_cannot_be_written_does_not_stop_the_rest(tmp_path: Path) -> None:
    kept = Journal(tmp_path, 10**6, Lines(), "log.folder")
    for item in (1, "no number: no such format", 2):
        kept.put(item)
    kept.close()
    assert numbers(tmp_path) == [1, 2]
    assert kept.lost == 1


def test_what_a_kill_left_of_a_compression_counts_and_goes(tmp_path: Path) -> None:
    left = tmp_path / "20000101T000000Z-1-000000.unfinished"
    left.write_bytes(b"x" * 79_000)
    Journal(tmp_path, 80_000, Lines(), "log.folder").close()
    assert not left.exists()


class FullDisk:
    """Has room for half of a file."""

    def copy_stream(self, plain: BinaryIO, compressed: BinaryIO) -> None:
        compressed.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_left_no_half_of_a_compression(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zstandard, "ZstdCompressor", FullDisk)
    kept = Journal(tmp_path, 80_000, Lines(), "log.folder")
    for number in range(250):
        kept.put(number)
    kept.close()
    assert {path.suffix for path in tmp_path.iterdir()} == {".jsonl"}
    assert len(numbers(tmp_path)) + kept.lost == 250
