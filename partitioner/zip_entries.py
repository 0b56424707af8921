"""The entries of a model file that is a zip archive, read once, and an archive of just those that were looked at.

torch is handed the new archive: two zip readers may disagree about what a file holds.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from isthmus.errors import InvalidModel

__all__ = ["archive_of", "check_names", "read_entries"]

_MAX_ARCHIVE_BYTES = 16 << 30

Infos = Sequence[zipfile.ZipInfo]


def read_entries(path: Path, checked: Callable[[Infos], Infos], remedy: str) -> dict[str, bytes]:
    """The contents by name. checked: refuses or leaves out entries before one of them is read.

    Raises InvalidModel naming the file, with `remedy` where it is no archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {info.filename: archive.read(info) for info in checked(archive.infolist())}
    except OSError as error:
        raise InvalidModel(str(path), f"cannot be read: {error.strerror}", remedy="check the path") from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise InvalidModel(str(path), f"is not a model file: {error}", remedy=remedy) from error


def check_names(path: Path, infos: Infos, allowed: re.Pattern[str], remedy: str) -> None:
    """Raise InvalidModel unless all entries are in one folder, have names that `allowed` matches there, and none of
    them twice; or when they are too large together."""
    names = [info.filename for info in infos]
    roots = {name.partition("/")[0] for name in names}
    # torch looks names up without regard to case; twice the same name means that readers could see different files.
    if len({name.lower() for name in names}) != len(names) or len(roots) != 1:
        raise InvalidModel(str(path), "is not a model file: repeated or foreign entries", remedy=remedy)
    if sum(info.file_size for info in infos) > _MAX_ARCHIVE_BYTES:
        raise InvalidModel(str(path), "is too large", remedy="split the model")
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
