"""The entries of a model file that is a zip archive, read once, and an archive of just those that were looked at.

torch is handed the new archive: two zip readers may disagree about what a file holds.
"""

from __future__ import annotations

import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from isthmus.errors import InvalidModel

__all__ = ["DAMAGED", "archive_of", "check_names", "read_entries"]

_MAX_ARCHIVE_BYTES = 16 << 30
_MOST_INFLATED, _SMALL_BYTES = 4, 16 << 20
"""How many times its own length an archive may hold, and what it may hold however short it is. torch stores all as it
is: once the length. Zipped again, weights shrink by a few percent and code to a tenth; of a small model the code is
most, and is far below `_SMALL_BYTES`. Deflate reaches 1,000 times, with which 10 MB would fill a machine's memory."""

DAMAGED = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, OSError, EOFError, ValueError, OverflowError,
    RuntimeError,
)  # fmt: skip
"""What `zipfile` raises on a damaged archive: among ValueError is a name that is no text, among RuntimeError a
compression or a version that it does not know, and an entry with a password."""

Infos = Sequence[zipfile.ZipInfo]


def read_entries(path: Path, checked: Callable[[Infos], Infos], remedy: str) -> dict[str, bytes]:
    """The contents by name. checked: refuses or leaves out entries before one of them is read.

    Raises InvalidModel naming the file, with `remedy` where it is no archive or holds far more than its own length.
    """
    try:
        raw = path.open("rb")
        length = path.stat().st_size
    except OSError as error:
        raise InvalidModel(str(path), f"cannot be read: {error.strerror}", remedy="check the path") from error
    with raw:
        try:
            with zipfile.ZipFile(raw) as archive:
                infos = checked(archive.infolist())
                _check_sizes(path, infos, length, remedy)
                return {info.filename: _content(archive, info) for info in infos}
        except DAMAGED as error:
            raise InvalidModel(str(path), f"is not a model file: {error}", remedy=remedy) from error


def _check_sizes(path: Path, infos: Infos, length: int, remedy: str) -> None:
    held = sum(info.file_size for info in infos)
    most = min(_MAX_ARCHIVE_BYTES, max(_MOST_INFLATED * length, _SMALL_BYTES))
    if held > most:
        problem = f"is too large: it says that it holds {held} bytes, where one of {length} bytes may hold {most}"
        raise InvalidModel(str(path), problem, remedy=remedy)
    for info in infos:
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # of others no length can be asked for
            problem = f"is not a model file: {info.filename!r} is compressed in another way than by deflate"
            raise InvalidModel(str(path), problem, remedy=remedy)


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """All of an entry. Not `archive.read`: it inflates what is there, whatever length is said."""
    with archive.open(info) as entry:
        content = entry.read(info.file_size)
    if len(content) != info.file_size:
        raise EOFError(f"{info.filename!r} ends early")
    return content


def check_names(path: Path, infos: Infos, allowed: re.Pattern[str], remedy: str) -> None:
    """Raise InvalidModel unless all entries are in one folder, have names that `allowed` matches there, and none of
    them twice."""
    names = [info.filename for info in infos]
    roots = {name.partition("/")[0] for name in names}
    # torch looks names up without regard to case; twice the same name means that readers could see different files.
    if len({name.lower() for name in names}) != len(names) or len(roots) != 1:
        raise InvalidModel(str(path), "is not a model file: repeated or foreign entries", remedy=remedy)
    strange = [name for name in names if not allowed.match(name.partition("/")[2])]
    if strange:
        raise InvalidModel(str(path), f"holds {strange[0]!r}, which is no plain data", remedy=remedy)


def archive_of(entries: Mapping[str, bytes]) -> io.BytesIO:
    """An archive that holds exactly these."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    made.seek(0)
    return made
