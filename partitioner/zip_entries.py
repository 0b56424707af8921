"""The entries of a model file that is a zip archive, read once, and an archive of just those that were looked at.

torch is handed the new archive: two zip readers may disagree about what a file holds.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from isthmus.errors import InvalidModel

__all__ = ["archive_of", "read_entries"]

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


def archive_of(entries: Mapping[str, bytes]) -> io.BytesIO:
    """An archive that holds exactly these."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    made.seek(0)
    return made
