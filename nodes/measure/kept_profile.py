"""A replica that starts beside others like it takes their profile instead of measuring the same machine again.

Measuring takes some seconds, one node after the other (`turn`): ten replicas that are asked for at once would wait for
each other. A profile decides which cuts are worth trying; what a plan takes is measured on each replica, always.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from pathlib import Path

import torch

from isthmus.cache_folder import cache_folder
from isthmus.errors import InvalidProfile
from nodes.engines.base import Engine
from nodes.fact_cache import FactCache
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
        self._facts = {
            "machine": platform.node(), "parent": os.getppid(), "engine": engine.name, "device": engine.device,
            "threads": engine.threads, "paced_by": paced_by, "torch": str(torch.__version__),
            "models": sorted(model_digests),
        }  # fmt: skip
        self._cache = FactCache(folder or cache_folder("profiles"), most_age_s=MOST_AGE_S)

    def read(self) -> DeviceProfile | None:
        """The profile, None where there is none of the last hour."""
        text = self._cache.find(self._facts)
        try:
            return None if text is None else DeviceProfile.from_json(text)
        except InvalidProfile:
            return None

    def write(self, profile: DeviceProfile) -> None:
        """Keep it for the next one; where that cannot be, the next one measures."""
        self._cache.keep(self._facts, profile.to_json())
