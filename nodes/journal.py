"""A journal on disk: items go in without waiting, a thread writes them as lines, and the oldest files go.

Bounded in every way: so many items wait, so many bytes lie on disk. What does not fit is counted and lost, never the
request that it tells of.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import threading
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Protocol

import zstandard

from isthmus.errors import InvalidConfiguration
from isthmus.telemetry import get_logger
from isthmus.whole_file import whole_file

__all__ = ["Encoder", "Journal", "oldest_first"]

MOST_WAITING = 20_000
# One file is written, the others are compressed; one is the smallest part that can be let go.
FILES = 8
_WRITE_EVERY_S = 0.5
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_UNFINISHED = ".unfinished"
# As `_begin` and `_end` name files, and did before they were numbered: what else lies in the folder is somebody's own.
_OWN_NAME = re.compile(r"(?:(\d{8,})-)?\d{8}T\d{6}Z-\d+(?:-\d{6,})?(?:\.jsonl|\.jsonl\.zst|\.unfinished)")


def oldest_first(files: Iterable[Path]) -> list[Path]:
    """Of a journal's folder, in the order in which they were written: that of their numbers. A clock that is wrong
    after a start, as on a board without a battery, does not mix them up. Files of other names come before."""
    return sorted(files, key=lambda path: (_number(path), path.name))


def _number(path: Path) -> int:
    own = _OWN_NAME.fullmatch(path.name)
    return int(own[1] or 0) if own else 0


class Encoder(Protocol):
    """Items as lines. Called by the writing thread only."""

    def begin_file(self) -> bytes:
        """The first line of a file, which is read without the others."""
        ...

    def encode(self, item: object) -> bytes:
        """The lines of an item."""
        ...


class Journal:
    """`put` items, `close` once. A process that is killed loses what it put in its last half second."""

    def __init__(self, folder: Path, most_bytes: int, encoder: Encoder, field: str) -> None:
        """folder: made if need be; older journals' files in it count towards `most_bytes`, and go first. field: the
        configuration's name of the folder. Raises InvalidConfiguration where nothing can be written there, but for
        want of room: that may come."""
        self._folder, self._most_bytes, self._encoder = folder, most_bytes, encoder
        self._waiting: deque[object] = deque()
        self._over = threading.Event()
        self._file: BinaryIO | None = None
        self._path = folder
        self._failing = False
        self.lost = 0
        self._log = get_logger("journal")
        try:
            self._begin_if_room()
        except OSError as error:
            raise InvalidConfiguration(
                field, f"cannot be written: {error.strerror}", value=str(folder), remedy="name a folder of your own"
            ) from error
        self._thread = threading.Thread(target=self._write_until_over, name="journal", daemon=True)
        self._thread.start()

    def _begin_if_room(self) -> None:
        """A disk that is full keeps no node from its start: what cannot be written is lost, and counted."""
        try:
            self._begin()
        except OSError as error:
            if error.errno not in _FULL:
                raise
            self._log.error("journal cannot be written", folder=str(self._folder), reason=str(error))
            self._failing = True

    def put(self, item: object) -> None:
        """Take an item; returns at once. Items must not change afterwards."""
        if len(self._waiting) >= MOST_WAITING:
            self.lost += 1
            return
        self._waiting.append(item)

    def close(self) -> None:
        """Write what waits and end."""
        self._over.set()
        self._thread.join()

    def _write_until_over(self) -> None:
        while not self._over.wait(_WRITE_EVERY_S):
            self._write_waiting()
        self._write_waiting()
        if self._file is not None:
            self._file.close()

    def _write_waiting(self) -> None:
        while self._waiting:
            item = self._waiting.popleft()
            try:
                self._write(item)
                self._failing = False
            except Exception as error:  # a full disk, say: the requests that it tells of go on
                self.lost += 1
                if not self._failing:  # once, not for every item
                    self._log.error("journal cannot be written", folder=str(self._folder), reason=str(error))
                self._failing = True
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.flush()

    def _write(self, item: object) -> None:
        if self._file is None or self._file.tell() >= self._most_bytes // FILES:
            self._end()
            self._begin()
        assert self._file is not None
        lines = self._encoder.encode(item)  # for this file: what it tells once is in it
        try:
            self._file.write(lines)
        except OSError:
            self._give_up(self._file)
            self._file = None  # what it was to tell once is not in it: the next item begins another
            raise

    def _begin(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        last = self._make_room()
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        self._path = self._folder / f"{last + 1:08d}-{stamp}-{os.getpid()}.jsonl"
        made = self._path.open("xb")
        try:
            made.write(self._encoder.begin_file())
            made.flush()
        except OSError:
            self._give_up(made)
            self._path.unlink()
            raise
        self._file = made

    @staticmethod
    def _give_up(file: BinaryIO) -> None:
        with contextlib.suppress(OSError):  # of what waits to be written
            file.close()

    def _end(self) -> None:
        """Put a compressed file in the place of the one that is full."""
        if self._file is None:
            return
        self._file.close()
        self._file = None
        # A full disk, say, must not be filled with halves; the plain file stays.
        made = whole_file(self._path.with_suffix(".jsonl.zst"), self._path.with_suffix(_UNFINISHED))
        with made as unfinished, self._path.open("rb") as plain, unfinished.open("wb") as compressed:
            zstandard.ZstdCompressor().copy_stream(plain, compressed)
        self._path.unlink()

    def _make_room(self) -> int:
        """Let the oldest files go until one more has room; also what a kill left of a compression. The last one's
        number."""
        files = oldest_first(path for path in self._folder.iterdir() if _OWN_NAME.fullmatch(path.name))
        last = max(map(_number, files), default=0)
        sizes = {path: path.stat().st_size for path in files}
        room = self._most_bytes - self._most_bytes // FILES
        while files and sum(sizes[path] for path in files) > room:
            files[0].unlink(missing_ok=True)
            del files[0]
        return last
