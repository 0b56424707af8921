"""What the operating system says of this machine: cores, clocks, limits. Linux; what it does not say is None."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CpuFacts", "MachineFacts", "OpenFiles", "machine_facts"]

# What sets threads, or ties them to cores, behind the configuration's back.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "OMP_PROC_BIND", "GOMP_CPU_AFFINITY", "KMP_AFFINITY")
_CORES = Path("sys/devices/system/cpu")
_CLOCK_SOURCE = Path("sys/devices/system/clocksource/clocksource0/current_clocksource")
_CPU_MAX = Path("sys/fs/cgroup/cpu.max")


@dataclass(frozen=True, slots=True)
class CpuFacts:
    """cores: those that this process may use. quota: of them by its control group, None for all. load: processes that
    wanted to run, mean of the last minute. governors: names, one for each policy of the kernel, empty where it has
    none (most virtual machines). highest_hz, allowed_hz: what the slowest core can do, and may. throttled: how often
    heat has slowed a core down since the machine started, None where it does not count."""

    cores: int
    quota: float | None
    load: float
    governors: tuple[str, ...] = ()
    highest_hz: float | None = None
    allowed_hz: float | None = None
    throttled: int | None = None


@dataclass(frozen=True, slots=True)
class OpenFiles:
    """How many files and sockets a process may have open: now, and when it asks."""

    soft: float
    hard: float


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """variables: those of the environment that tell OpenMP what to do. resolution_s: of the clock that durations are
    measured with; clock_source: what drives it. wall_s: what the wall clock says, seconds since 1970. installed_s:
    when this package's files were written, by the same clock; no earlier moment can be now."""

    cpu: CpuFacts
    variables: Mapping[str, str]
    resolution_s: float
    clock_source: str | None
    wall_s: float
    installed_s: float
    open_files: OpenFiles


def machine_facts(root: Path = Path("/")) -> MachineFacts:
    """Look. root: where the kernel's /sys is mounted."""
    soft, hard = (_limit(value) for value in resource.getrlimit(resource.RLIMIT_NOFILE))
    return MachineFacts(
        cpu=_cpu(root),
        variables={name: os.environ[name] for name in _THREAD_VARIABLES if name in os.environ},
        resolution_s=time.get_clock_info("monotonic").resolution,
        clock_source=_text(root / _CLOCK_SOURCE),
        wall_s=time.time(),
        installed_s=Path(__file__).stat().st_mtime,
        open_files=OpenFiles(soft, hard),
    )


def _cpu(root: Path) -> CpuFacts:
    policies = sorted((root / _CORES / "cpufreq").glob("policy*"))
    heats = (root / _CORES).glob("cpu[0-9]*/thermal_throttle/core_throttle_count")
    counts = [count for path in heats if (count := _number(path)) is not None]
    return CpuFacts(
        cores=len(os.sched_getaffinity(0)),
        quota=_quota(_text(root / _CPU_MAX)),
        load=os.getloadavg()[0],
        governors=tuple(name for policy in policies if (name := _text(policy / "scaling_governor"))),
        highest_hz=_lowest_hz(policies, "cpuinfo_max_freq"),
        allowed_hz=_lowest_hz(policies, "scaling_max_freq"),
        throttled=int(sum(counts)) if counts else None,
    )


def _quota(text: str | None) -> float | None:
    """Cores' worth of a cgroup v2 `cpu.max`: "QUOTA PERIOD" in microseconds, or "max PERIOD"."""
    quota, _, period = (text or "max").partition(" ")
    return float(quota) / float(period) if quota.isdigit() and period.isdigit() and float(period) > 0 else None


def _lowest_hz(policies: list[Path], name: str) -> float | None:
    found = [khz for policy in policies if (khz := _number(policy / name)) is not None]
    return 1e3 * min(found) if found else None


def _limit(value: int) -> float:
    return float("inf") if value == resource.RLIM_INFINITY else float(value)


def _number(path: Path) -> float | None:
    text = _text(path)
    return float(text) if text is not None and text.isdigit() else None


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except (OSError, ValueError):
        return None
