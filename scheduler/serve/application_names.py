"""What a cloud's applications are called: by that, and nothing else, a launcher knows those of the one before it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

__all__ = ["ApplicationNames"]

_STEM = "cloud"
_ON_A_CLUSTER = "isthmus-cloud"


class ApplicationNames:
    """The names of one cloud's versions: "cloud", "cloud-2" and so on; "isthmus-cloud@ID", "isthmus-cloud-2@ID" on a
    cluster of others, where several clouds may be.

    left: applications of the same cloud that are there already, the oldest first. They count as versions before.
    """

    def __init__(self, identity: str, there: Iterable[str]) -> None:
        """identity: of the cloud on a cluster of others, "" on a Ray of its own. there: all that runs on it."""
        self._stem, self._end = (_ON_A_CLUSTER, f"@{identity}") if identity else (_STEM, "")
        own = re.compile(rf"{self._stem}(?:-(\d+))?{re.escape(self._end)}")
        numbers = {name: int(found[1] or 1) for name in there if (found := own.fullmatch(name))}
        self.left = tuple(sorted(numbers, key=numbers.__getitem__))
        self._versions = itertools.count(1 + max(numbers.values(), default=0))

    def next(self) -> str:
        """Of the next version."""
        number = next(self._versions)
        return f"{self._stem}{'' if number == 1 else f'-{number}'}{self._end}"
