"""What a file system says of a file's content: two equal stamps, one content."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["FileStamp"]


@dataclass(frozen=True, slots=True)
class FileStamp:
    """When it was modified, its size, which file it is: editors often put another one in its place."""

    modified_ns: int
    size_bytes: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> FileStamp | None:
        """Of the file there, behind links; None where none can be seen."""
        try:
            found = path.stat()
        except OSError:
            return None
        return cls(found.st_mtime_ns, found.st_size, found.st_ino)
