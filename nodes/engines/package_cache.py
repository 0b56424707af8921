"""Compiled packages on disk, so that a restart need not compile again.

A package is native code. It is loaded only from a folder of this user's that nobody else may write to, where this node
put it, and only while it has the SHA-256 that was written down when it was made.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nodes.engines.private_folder import check_private, private_folder

__all__ = ["MOST_BYTES", "Package", "PackageCache"]

MOST_BYTES = 1 << 30
"""Of all packages together: some hundreds, which hold no weights."""

_WORKSHOP = "making-"


@dataclass(frozen=True, slots=True)
class Package:
    """A package that may be loaded, and the seconds that compiling it took."""

    path: Path
    compile_s: float


class PackageCache:
    """Packages by the facts that their code holds for. Several processes may share a folder."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        """Makes the folder. Raises InvalidConfiguration where others may write to it."""
        self._folder, self._most_bytes = private_folder(folder), most_bytes
        for left in folder.glob(f"{_WORKSHOP}*"):
            if not _is_running(left.name.split("-")[1]):
                shutil.rmtree(left, ignore_errors=True)

    def find(self, facts: Mapping[str, object]) -> Package | None:
        """The package of these facts, None where there is none or its files do not fit together.

        Raises InvalidConfiguration where another user could have changed it.
        """
        package, note = self._paths(facts)
        try:
            check_private(package)
            check_private(note)
            said = json.loads(note.read_text(encoding="utf-8"))
            if said["facts"] != _plain(facts) or said["sha256"] != _sha256(package):
                return None
            os.utime(note)  # it was used: others go first
            return Package(package, float(said["compile_s"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, facts: Mapping[str, object], made: Path, compile_s: float) -> Package:
        """Move the package `made` in; those used longest ago go beyond the bound. The note comes last."""
        package, note = self._paths(facts)
        text = json.dumps({"facts": _plain(facts), "sha256": _sha256(made), "compile_s": compile_s}, indent=1)
        fresh = made.with_suffix(".json")
        fresh.write_text(text + "\n", encoding="utf-8")
        for path, target in ((made, package), (fresh, note)):
            path.chmod(0o600)
            os.replace(path, target)
        self._shrink(note)
        return Package(package, compile_s)

    @contextlib.contextmanager
    def workshop(self) -> Iterator[Path]:
        """A private folder on the same disk, gone afterwards."""
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=f"{_WORKSHOP}{os.getpid()}-") as folder:
            yield Path(folder)

    def _paths(self, facts: Mapping[str, object]) -> tuple[Path, Path]:
        digest = hashlib.sha256(json.dumps(_plain(facts), sort_keys=True).encode()).hexdigest()
        return self._folder / f"{digest}.pt2", self._folder / f"{digest}.json"

    def _shrink(self, newest: Path) -> None:
        notes = sorted(self._folder.glob("*.json"), key=_last_used, reverse=True)
        held = 0
        for note in notes:
            package = note.with_suffix(".pt2")
            held += package.stat().st_size if package.exists() else 0
            if held > self._most_bytes and note != newest:
                note.unlink(missing_ok=True)
                package.unlink(missing_ok=True)


def _plain(facts: Mapping[str, object]) -> object:
    return json.loads(json.dumps(facts))


def _is_running(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def _last_used(note: Path) -> float:
    try:
        return note.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
