"""What an edge measured at earlier starts, so that a restart serves at once and without a cloud to compare with.

It holds for as long as nothing changes that a time could depend on: the facts below are its key. Times that were
measured under load or have aged since are corrected as all times are, by what requests really take; after
`fact_cache.MOST_AGE_S` a start measures again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from isthmus.errors import InvalidPlan, InvalidProfile
from isthmus.telemetry import get_logger
from isthmus.version import VERSION
from nodes.batch_times import BatchTimes
from nodes.engines.allocator import allocator_state
from nodes.engines.base import Engine
from nodes.fact_cache import FactCache
from nodes.measure.device_profile import device_name
from nodes.model_runtime import ReadyPlan
from nodes.request_overhead import RequestOverhead
from nodes.settings import EdgeSettings
from partitioner.plain_json import STRICT, read_json, write_json
from partitioner.plan_table import EngineDifference, PlanEntry
from partitioner.profiles import DeviceProfile

__all__ = ["NO_MEMORY", "CloudKind", "EdgeMemory", "MeasuredPlan", "MeasuredStart", "ModelIdentity"]

_FORMAT = 2
_LIBRARIES = ("torch", "onnxruntime", "numpy", "pillow", "zstandard", "lz4", "constriction")


@dataclass(frozen=True, slots=True)
class MeasuredStart:
    """This device with the op times of every model, and what a request costs besides its stages."""

    __pydantic_config__ = STRICT
    profile: DeviceProfile
    overhead: RequestOverhead


@dataclass(frozen=True, slots=True)
class MeasuredPlan:
    """What of a `ReadyPlan` is data. prefix_s: seconds by batch, see BatchTimes. early: see EdgeHalf."""

    __pydantic_config__ = STRICT
    entry: PlanEntry
    prefix_s: tuple[tuple[int, float], ...]
    early: tuple[int, ...]

    @classmethod
    def of(cls, ready: ReadyPlan) -> MeasuredPlan:
        """What is to be written down of it."""
        return cls(ready.entry, ready.prefix_times.seconds, ready.half.early)

    @property
    def prefix_times(self) -> BatchTimes:
        """See ReadyPlan."""
        return BatchTimes(self.prefix_s)


@dataclass(frozen=True, slots=True)
class _MeasuredPlans:
    __pydantic_config__ = STRICT
    plans: tuple[MeasuredPlan, ...]


@dataclass(frozen=True, slots=True)
class CloudKind:
    """Replicas for which the same plans are measured. told: what such a cloud says that its engine changes."""

    name: str
    engine: str
    threads: int
    told: EngineDifference | None = None


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """A model as it is served. given: ids of the plans that the configuration names for it."""

    name: str
    digest: str
    given: tuple[str, ...] = ()


class EdgeMemory:
    """Remembers by facts, on disk. Nothing raises: what is damaged or cannot be written is measured again."""

    def __init__(self, cache: FactCache | None, facts: Mapping[str, object]) -> None:
        """cache: None remembers nothing. facts: of the device and of how it measures, for all that is remembered."""
        self._cache = cache
        self._facts = facts

    @classmethod
    def of(cls, settings: EdgeSettings, engine: Engine) -> EdgeMemory:
        """That of this machine under these settings. engine: as it serves, emulated slowdown included."""
        if not settings.memory_folder:
            return NO_MEMORY
        return cls(FactCache(Path(settings.memory_folder)), _facts(settings, engine))

    def start(self, models: Mapping[str, str]) -> MeasuredStart | None:
        """models: digests by name, of all that it serves."""
        text = self._found({"models": models})
        try:
            return None if text is None else read_json(MeasuredStart, text, InvalidProfile, "start")
        except (InvalidProfile, InvalidPlan) as error:
            get_logger("edge").warning("measured start not used", reason=str(error))
            return None

    def keep_start(self, models: Mapping[str, str], start: MeasuredStart) -> None:
        """For the next start with the same models."""
        if self._cache is not None:
            self._cache.keep({**self._facts, "models": models}, write_json(start))

    def plans(self, model: ModelIdentity, cloud: CloudKind | None) -> tuple[MeasuredPlan, ...]:
        """For such a cloud, or (None) those that need none; empty where nothing is known."""
        text = self._found({"model": asdict(model), "cloud": cloud and asdict(cloud)})
        try:
            return () if text is None else read_json(_MeasuredPlans, text, InvalidPlan, "plans").plans
        except (InvalidPlan, InvalidProfile) as error:
            get_logger("edge").warning("measured plans not used", reason=str(error))
            return ()

    def keep_plans(self, model: ModelIdentity, cloud: CloudKind | None, plans: Sequence[ReadyPlan]) -> None:
        """For the next start."""
        if self._cache is not None and plans:
            measured = _MeasuredPlans(tuple(map(MeasuredPlan.of, plans)))
            facts = {"model": asdict(model), "cloud": cloud and asdict(cloud)}
            self._cache.keep({**self._facts, **facts}, write_json(measured))

    def _found(self, facts: Mapping[str, object]) -> str | None:
        return None if self._cache is None else self._cache.find({**self._facts, **facts})


NO_MEMORY = EdgeMemory(None, {})


def _facts(settings: EdgeSettings, engine: Engine) -> Mapping[str, object]:
    return {
        "format": _FORMAT,
        "package": VERSION,
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "device": device_name(engine.device),
        "cores": len(os.sched_getaffinity(0)),
        "allocator": allocator_state(),
        "engine": engine.name,
        "kind": engine.device,
        "threads": engine.threads,
        "slowdown": engine.slowdown,
        "max_batch": settings.batching.max_batch,
    }


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:  # one that was installed without its metadata
        return ""
