"""Watts of a processor while it works and while it waits, where the machine tells: RAPL's counters on a CPU, which most
machines let only root read, and NVML on a GPU, where pynvml is there.

Of a CPU it is the packages', whole, with whatever else runs on them. What a radio takes nobody here can read.
See Linux, Documentation/power/powercap/powercap.rst.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeVar

import torch

from nodes.measure.timing import percentile
from partitioner.measurements import Power

__all__ = ["POWERCAP", "PowerMeter", "power_meter", "with_power"]

POWERCAP = Path("/sys/class/powercap")
MOST_IDLE_S = 0.5
_SAMPLE_S = 0.05

_Made = TypeVar("_Made")


class PowerMeter(Protocol):
    """source: what is read, in words. settles_s: for which it tells what was before."""

    source: str
    settles_s: float

    def around(self, work: Callable[[], _Made]) -> tuple[_Made, float | None]:
        """What `work` made, and the mean watts while it ran; None where they could not be read after all."""


def power_meter(device: str, powercap: Path = POWERCAP) -> PowerMeter | None:
    """Of "cpu" or "cuda"; None where nothing here tells. powercap: where the kernel shows its power domains."""
    if device == "cpu":
        packages = _packages(powercap)
        return _Rapl(packages) if packages else None
    meter = _Nvml()
    return None if meter.watts() is None else meter


def with_power(meter: PowerMeter | None, work: Callable[[float], _Made], budget_s: float) -> tuple[_Made, Power | None]:
    """What `work` made in the seconds that it was given, and the power while it ran and before; None without a meter or
    time for it, and where waiting took no less: somebody else was at work."""
    idle_s = min(MOST_IDLE_S, 0.2 * budget_s)
    if meter is None or budget_s - idle_s <= 1.5 * meter.settles_s:
        return work(budget_s), None
    _, idle_w = meter.around(lambda: time.sleep(meter.settles_s + idle_s))
    made, busy_w = meter.around(lambda: work(budget_s - idle_s))
    if idle_w is None or busy_w is None or busy_w <= idle_w:
        return made, None
    read = f"measured {datetime.now(UTC):%Y-%m-%d}, {meter.source}"
    return made, Power(busy_w, idle_w, 0.0, read, measured=True)


class _Rapl:
    settles_s = 0.0

    def __init__(self, packages: Mapping[Path, int]) -> None:
        """packages: by folder, after how many microjoules its counter begins anew."""
        self.source = f"RAPL, {len(packages)} package{'' if len(packages) == 1 else 's'}"
        self._packages = packages

    def around(self, work: Callable[[], _Made]) -> tuple[_Made, float | None]:
        """See PowerMeter. A counter may begin anew once meanwhile: it takes minutes."""
        before, started = self._read(), time.perf_counter()
        made = work()
        after, took_s = self._read(), time.perf_counter() - started
        if before is None or after is None:
            return made, None
        spent = sum(
            after[folder] - before[folder] + (most if after[folder] < before[folder] else 0)
            for folder, most in self._packages.items()
        )
        return made, spent * 1e-6 / took_s

    def _read(self) -> Mapping[Path, int] | None:
        try:
            return {folder: _number(folder / "energy_uj") for folder in self._packages}
        except (OSError, ValueError):
            return None


def _packages(powercap: Path) -> Mapping[Path, int]:
    """The domains that are whole packages: cores and memory are parts of them, and psys is all of them once more. None
    where one of them cannot be read."""
    found: dict[Path, int] = {}
    try:
        for folder in sorted(powercap.glob("intel-rapl:*")):
            if (folder / "name").read_text(encoding="ascii").startswith("package"):
                _number(folder / "energy_uj")
                found[folder] = _number(folder / "max_energy_range_uj")
    except (OSError, ValueError):
        return {}
    return found


def _number(file: Path) -> int:
    return int(file.read_text(encoding="ascii"))


class _Nvml:
    """Samples after a second, since the sensor tells the mean of its last second or less."""

    source, settles_s = "NVML", 1.0

    def around(self, work: Callable[[], _Made]) -> tuple[_Made, float | None]:
        """See PowerMeter."""
        samples, is_over = list[float | None](), threading.Event()

        def sample() -> None:
            is_over.wait(self.settles_s)
            while not is_over.wait(_SAMPLE_S):
                samples.append(self.watts())

        beside = threading.Thread(target=sample, daemon=True)
        beside.start()
        try:
            made = work()
        finally:
            is_over.set()
            beside.join()
        read = [watts for watts in samples if watts is not None]
        return made, percentile(read, 0.5) if read else None

    def watts(self) -> float | None:
        """Now; None without pynvml, or where the driver does not tell."""
        try:
            return torch.cuda.power_draw() / 1e3
        except Exception:  # pynvml's own errors have no type here where it is not installed
            return None
