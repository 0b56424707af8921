"""Data on disk that was found under certain facts, so that a restart under the same facts need not find it again.

Data only: what is read is checked by whoever asks for it, and nothing of it is executed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from isthmus.telemetry import get_logger

__all__ = ["MOST_AGE_S", "MOST_BYTES", "FactCache"]

MOST_BYTES = 64 << 20
"""Of all entries together: a start's profile and plans are some 100 kB, with learned tables a few MB."""

MOST_AGE_S = 30 * 86_400.0
"""What is older is found anew: a device ages, and so does what its facts do not tell."""


class FactCache:
    """Texts by the facts that they hold for. Several processes may share a folder; each entry is replaced as a whole.

    Nothing raises: what cannot be read or written is found anew the next time, and said in a warning.
    """

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES, most_age_s: float = MOST_AGE_S) -> None:
        """folder: made when something is first kept, for this user alone."""
        self._folder, self._most_bytes, self._most_age_s = folder, most_bytes, most_age_s
        self._log = get_logger("cache").bind(folder=str(folder))

    def find(self, facts: Mapping[str, object]) -> str | None:
        """What was kept under exactly these facts, None where nothing is, it is too old or the file is damaged."""
        path = self._path(facts)
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            if said["facts"] != _plain(facts) or said["sha256"] != _sha256(said["text"]):
                raise ValueError("its contents do not fit together")
            if time.time() - said["made_s"] > self._most_age_s:  # a clock that stands before it says nothing
                return None
            with contextlib.suppress(OSError):  # a disk that may only be read, or a folder of somebody else
                os.utime(path)  # it was used: others go first
            return str(said["text"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            self._log.warning("damaged entry not used", file=path.name, reason=f"{type(error).__name__}: {error}")
            return None

    def keep(self, facts: Mapping[str, object], text: str) -> None:
        """Write it down in place of what was there; what was used longest ago goes beyond the bound."""
        said = json.dumps({"facts": _plain(facts), "made_s": time.time(), "sha256": _sha256(text), "text": text})
        path = self._path(facts)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=self._folder, prefix="making-", delete=False) as fresh:
                fresh.write(said)
                fresh.flush()
                os.fsync(fresh.fileno())  # an edge may lose its power at any moment
            os.replace(fresh.name, path)
            self._shrink(path)
        except OSError as error:
            self._log.warning("nothing kept for the next start", reason=error.strerror)

    def _path(self, facts: Mapping[str, object]) -> Path:
        return self._folder / f"{_sha256(json.dumps(_plain(facts), sort_keys=True))}.json"

    def _shrink(self, newest: Path) -> None:
        """Also what a process that died left half written: it is as old as its last use."""
        held = 0
        for path in sorted(self._folder.iterdir(), key=_last_used, reverse=True):
            with contextlib.suppress(FileNotFoundError):
                held += path.stat().st_size
                if held > self._most_bytes and path != newest:
                    path.unlink()


def _plain(facts: Mapping[str, object]) -> object:
    return json.loads(json.dumps(facts))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()


def _last_used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
