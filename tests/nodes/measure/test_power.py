"""Power read from counters as the kernel shows them, here in a folder that a thread counts up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
import torch

from nodes.engines.eager import EagerEngine
from nodes.measure.device_profile import measure_device
from nodes.measure.power import power_meter, with_power

MOST_UJ = 100_000_000


def _domain(powercap: Path, domain: str, name: str) -> Path:
    folder = powercap / domain
    folder.mkdir()
    for file, said in (("name", name), ("energy_uj", MOST_UJ - 1000), ("max_energy_range_uj", MOST_UJ)):
        (folder / file).write_text(f"{said}\n")
    return folder


@pytest.fixture
def powercap(tmp_path: Path) -> Path:
    """Two packages, a part of the first, and both of them once more as psys."""
    for domain, name in (("0", "package-0"), ("0:0", "core"), ("1", "package-1"), ("2", "psys")):
        _domain(tmp_path, f"intel-rapl:{domain}", name)
    return tmp_path


def _add(powercap: Path, joules: float) -> None:
    """To each counter, which begins anew at its end; replaced as a whole, as the kernel's is never half there."""
    for file in powercap.glob("*/energy_uj"):
        counted = (int(file.read_text()) + round(joules * 1e6)) % MOST_UJ
        (file.parent / "next").write_text(f"{counted}\n")
        (file.parent / "next").replace(file)


@contextmanager
def _drawing(powercap: Path, watts: Callable[[], float]) -> Iterator[None]:
    """Each domain draws so many, meanwhile."""
    over = threading.Event()

    def draw() -> None:
        last = time.perf_counter()
        while not over.wait(0.002):
            now = time.perf_counter()
            _add(powercap, (now - last) * watts())
            last = now

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_packages_are_added_up_over_the_end_of_their_counters(powercap: Path) -> None:
    meter = power_meter("cpu", powercap)
    assert meter is not None
    started = time.perf_counter()

    def work() -> str:
        _add(powercap, 0.25)
        time.sleep(0.05)
        return "made"

    made, watts = meter.around(work)
    took_s = time.perf_counter() - started
    assert made == "made"
    assert watts is not None
    assert 2 * 0.25 / took_s <= watts <= 2 * 0.25 / 0.05


def test_power_is_read_while_it_works_and_while_it_waits(powercap: Path) -> None:
    busy = threading.Event()

    def work(budget_s: float) -> float:
        busy.set()
        time.sleep(budget_s)
        return budget_s

    with _drawing(powercap, lambda: 4.0 if busy.is_set() else 1.0):
        spent_s, power = with_power(power_meter("cpu", powercap), work, 0.5)
    assert spent_s == pytest.approx(0.4)
    assert power is not None
    assert power.idle_w == pytest.approx(2.0, rel=0.3)
    assert power.busy_w == pytest.approx(8.0, rel=0.3)
    assert power.measured
    assert power.provenance.endswith("RAPL, 2 packages")


def test_a_profile_holds_what_was_read(powercap: Path) -> None:
    begun = time.perf_counter()
    with _drawing(powercap, lambda: 1.0 + time.perf_counter() - begun):
        of_this, of_emulated = (
            measure_device(0.2, EagerEngine(slowdown=slow), ("raw",), powercap).power for slow in (1.0, 2.0)
        )
    assert of_this is not None
    assert of_this.busy_w > of_this.idle_w > 0
    assert of_emulated is None  # nobody knows what such a device takes


def test_work_that_took_less_than_waiting_tells_nothing(powercap: Path) -> None:
    busy = threading.Event()

    def work(budget_s: float) -> None:
        busy.set()
        time.sleep(budget_s)

    with _drawing(powercap, lambda: 0.5 if busy.is_set() else 4.0):
        _, power = with_power(power_meter("cpu", powercap), work, 0.5)
    assert power is None


@pytest.mark.parametrize("content", [None, "", "no number\n"])
def test_a_counter_that_cannot_be_read_is_no_meter(powercap: Path, content: str | None) -> None:
    file = powercap / "intel-rapl:1" / "energy_uj"
    file.unlink()
    if content is not None:
        file.write_text(content)
    assert power_meter("cpu", powercap) is None


def test_a_machine_that_tells_nothing_has_no_meter(tmp_path: Path) -> None:
    assert power_meter("cpu", tmp_path / "powercap") is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_has_no_meter() -> None:
    assert power_meter("cuda") is None


_Made = TypeVar("_Made")


class _Slow:
    """A meter that tells what was before for a while."""

    source, settles_s = "slow", 0.05

    def __init__(self) -> None:
        self.read_s = list[float]()

    def around(self, work: Callable[[], _Made]) -> tuple[_Made, float | None]:
        started = time.perf_counter()
        made = work()
        self.read_s.append(time.perf_counter() - started)
        return made, float(len(self.read_s))


def test_a_meter_that_is_slow_gets_the_time_it_takes_or_is_not_asked() -> None:
    meter = _Slow()
    given_s, power = with_power(meter, lambda budget_s: budget_s, 0.3)
    assert power is not None
    assert meter.read_s[0] >= 0.05 + 0.2 * 0.3
    assert given_s == pytest.approx(0.8 * 0.3)
    assert with_power(meter, lambda budget_s: budget_s, 0.09) == (0.09, None)


def test_counters_that_stand_still_are_no_power(powercap: Path) -> None:
    assert with_power(power_meter("cpu", powercap), lambda _: None, 0.05) == (None, None)
