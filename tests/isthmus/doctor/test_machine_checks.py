"""What is said of a machine's facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.doctor.finding import Finding
from isthmus.doctor.machine_checks import Compute, check_machine
from isthmus.doctor.machine_facts import CpuFacts, MachineFacts, OpenFiles, machine_facts

CPU = CpuFacts(cores=4, quota=None, load=0.5, governors=("performance",), highest_hz=2e9, allowed_hz=2e9, throttled=0)
GOOD = MachineFacts(CPU, {}, 1e-9, "tsc", 2e9, 1.9e9, OpenFiles(65536, 65536))
EDGE = Compute("edge", threads=2, processes=1, connections=1024)


def said(facts: MachineFacts, sides: Sequence[Compute] = (EDGE,)) -> list[Finding]:
    return [finding for finding in check_machine(facts, sides) if finding.level != "ok"]


def test_a_quiet_machine_with_enough_cores_gives_nothing_to_do() -> None:
    assert said(GOOD) == []


@pytest.mark.parametrize(
    ("cpu", "check", "remedy"),
    [
        ({"cores": 1}, "edge threads", "set edge.threads to 1"),
        ({"quota": 1.5}, "edge threads", "set edge.threads to 1"),
        ({"quota": 3.0}, "cpu quota", "whole cores"),
        ({"governors": ("performance", "powersave")}, "cpu governor", "cpupower"),
        ({"allowed_hz": 1e9}, "cpu frequency", "cpupower"),
        ({"throttled": 7}, "cpu heat", "cool it"),
        ({"load": 9.0}, "load", "quiet"),
    ],
)
def test_what_makes_measured_times_wrong_is_a_warning(cpu: dict[str, object], check: str, remedy: str) -> None:
    findings = said(replace(GOOD, cpu=replace(CPU, **cpu)))  # type: ignore[arg-type]
    assert [(one.check, one.level) for one in findings if one.check == check] == [(check, "warn")]
    assert remedy in next(one.remedy for one in findings if one.check == check)


def test_two_sides_that_need_more_cores_than_there_are_disturb_each_other() -> None:
    cloud = Compute("cloud", threads=1, processes=3, connections=1024)
    assert [one.check for one in said(GOOD, (EDGE, cloud))] == ["threads of both sides"]


@pytest.mark.parametrize(
    ("variables", "level"),
    [
        ({"OMP_THREAD_LIMIT": "1"}, "fail"),
        ({"OMP_PROC_BIND": "close"}, "warn"),
        ({"OMP_PROC_BIND": "false", "OMP_NUM_THREADS": "1"}, None),
    ],
)
def test_openmp_settings_that_nodes_cannot_set_are_named(variables: dict[str, str], level: str | None) -> None:
    findings = said(replace(GOOD, variables=variables))
    assert [(one.check, one.level) for one in findings] == ([("OpenMP", level)] if level else [])


@pytest.mark.parametrize("clock", [{"resolution_s": 1e-3}, {"clock_source": "hpet"}])
def test_a_clock_that_is_coarse_or_slow_is_a_warning(clock: dict[str, object]) -> None:
    assert [one.check for one in said(replace(GOOD, **clock))] == ["monotonic clock"]  # type: ignore[arg-type]


def test_a_wall_clock_before_the_installation_fails() -> None:
    assert [(one.check, one.level) for one in said(replace(GOOD, wall_s=0.0))] == [("wall clock", "fail")]


@pytest.mark.parametrize(("hard", "remedy"), [(65536.0, "ulimit -n 1280"), (1024.0, "LimitNOFILE=1280")])
def test_fewer_open_files_than_clients_is_a_warning(hard: float, remedy: str) -> None:
    [finding] = said(replace(GOOD, open_files=OpenFiles(1024.0, hard)))
    assert finding.check == "edge open files"
    assert remedy in finding.remedy


def test_what_the_kernel_says_of_its_cores_is_read(tmp_path: Path) -> None:
    cores, cgroup = tmp_path / "sys/devices/system/cpu", tmp_path / "sys/fs/cgroup"
    for number, most in enumerate(("2000000", "1500000")):
        policy = cores / "cpufreq" / f"policy{number}"
        policy.mkdir(parents=True)
        (policy / "scaling_governor").write_text("schedutil\n")
        (policy / "cpuinfo_max_freq").write_text(most)
        (policy / "scaling_max_freq").write_text("1000000")
    heat = cores / "cpu0" / "thermal_throttle"
    heat.mkdir(parents=True)
    (heat / "core_throttle_count").write_text("3\n")
    cgroup.mkdir(parents=True)
    (cgroup / "cpu.max").write_text("150000 100000\n")
    cpu = machine_facts(tmp_path).cpu
    assert (cpu.quota, cpu.governors, cpu.throttled) == (1.5, ("schedutil", "schedutil"), 3)
    assert (cpu.highest_hz, cpu.allowed_hz) == (1.5e9, 1e9)


def test_a_kernel_that_says_nothing_is_no_fault(tmp_path: Path) -> None:
    cpu = machine_facts(tmp_path).cpu
    assert (cpu.quota, cpu.governors, cpu.highest_hz, cpu.throttled) == (None, (), None, None)
    assert cpu.cores >= 1
