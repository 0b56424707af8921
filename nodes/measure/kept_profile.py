"""A replica that starts beside others like it takes their profile instead of measuring the same machine again.

Measuring takes some seconds, one node after the other (`turn`): ten replicas that are asked for at once would wait for
each other. A profile decides which cuts are worth trying; what a plan takes is measured on each replica, always.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Iterable
from pathlib import Path

import torch

from isthmus.cache_folder import cache_folder
from isthmus.errors import InvalidProfile
from isthmus.telemetry import get_logger
from nodes.engines.base import Engine
from partitioner.profiles import DeviceProfile

__all__ = ["KeptProfile"]

# A machine that has changed for good is measured within the hour.
MOST_AGE_S = 3600.0


class KeptProfile:
    """Of one kind of replica: the engine and its threads, the models; and of one parent, the raylet or the launcher
    that starts them on this machine: another start measures anew."""

    def __init__(
        self, engine: Engine, model_digests: Iterable[str], paced_by: str = "", folder: Path | None = None
    ) -> None:
        """folder: one in the cache folder without."""
        kind = [
            platform.node(), os.getppid(), engine.name, engine.device, engine.threads, paced_by,
            str(torch.__version__), *sorted(model_digests),
        ]  # fmt: skip
        name = hashlib.sha256(json.dumps(kind).encode()).hexdigest()[:24]
        self._path = (folder or cache_folder("profiles")) / f"{name}.json"

    def read(self) -> DeviceProfile | None:
        """The profile, None where there is none of the last hour."""
        try:
            if time.time() - self._path.stat().st_mtime > MOST_AGE_S:
                return None
            return DeviceProfile.from_json(self._path.read_bytes())
        except (OSError, InvalidProfile):
            return None

    def write(self, profile: DeviceProfile) -> None:
        """Keep it for the next one; where that cannot be, the next one measures."""
        made = self._path.with_suffix(f".{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            made.write_text(profile.to_json())
            made.replace(self._path)
        except OSError as error:
            get_logger("measure").warning("profile not kept", reason=str(error))
