"""Whether a machine lets nodes compute, measure and connect as configured. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from isthmus.doctor.finding import Finding, fail, ok, warn
from isthmus.doctor.machine_facts import CpuFacts, MachineFacts, OpenFiles

__all__ = ["Compute", "check_machine"]

# A clock of a coarser step does not tell a short stage from none.
_COARSEST_S = 1e-6
# Read through the kernel, each about a microsecond; a decision reads the clock a few times.
_SLOW_SOURCES = frozenset({"hpet", "acpi_pm", "jiffies", "refined-jiffies"})
_DAY_S = 86_400.0
# Sockets of the fleet, files of models and logs, Python's own.
_FILES_BESIDES = 256


@dataclass(frozen=True, slots=True)
class Compute:
    """What one side is configured to use: of `processes` (at most) each so many threads and clients."""

    side: str
    threads: int
    processes: int
    connections: int


def check_machine(facts: MachineFacts, sides: Sequence[Compute]) -> Iterator[Finding]:
    """Threads, governor, clock speed, load, clocks, open files; sides: those that this machine runs."""
    yield from _threads(facts.cpu, sides)
    yield from _openmp(facts, sides)
    yield from _governor(facts.cpu)
    yield from _speed(facts.cpu)
    yield _load(facts.cpu)
    yield from _clocks(facts)
    yield from _open_files(facts.open_files, sides)


def _threads(cpu: CpuFacts, sides: Sequence[Compute]) -> Iterator[Finding]:
    usable = min(float(cpu.cores), cpu.quota or cpu.cores)
    for side in sides:
        wanted, name = side.threads * side.processes, f"{side.side} threads"
        said = f"{side.threads} configured" + (f" for each of {side.processes} replicas" if side.processes > 1 else "")
        if side.threads > usable:
            remedy = f"set {side.side}.threads to {max(1, int(usable))}"
            yield warn(name, f"{said}, {usable:g} cores usable: ops wait for each other", remedy)
        elif wanted > usable:
            remedy = f"set fewer {side.side}.threads or replicas, unless the replicas take turns"
            yield warn(name, f"{said}, {usable:g} cores usable", remedy)
        else:
            yield ok(name, f"{said}, {usable:g} cores usable")
    both = sum(side.threads * side.processes for side in sides)
    if len(sides) > 1 and both > usable:
        remedy = "run the sides on two machines, or pin them apart (taskset), before believing in measured times"
        yield warn("threads of both sides", f"{both} configured, {usable:g} cores usable", remedy)
    if cpu.quota is not None and cpu.quota < cpu.cores:
        remedy = "give the container whole cores (a quota stops all threads in the middle of an op)"
        yield warn("cpu quota", f"the control group allows {cpu.quota:g} of {cpu.cores} cores", remedy)


def _openmp(facts: MachineFacts, sides: Sequence[Compute]) -> Iterator[Finding]:
    """Nodes set their own number of threads; what they cannot set is a limit, and which core a thread is tied to."""
    most = max((side.threads for side in sides), default=1)
    limit = facts.variables.get("OMP_THREAD_LIMIT", "")
    if limit.isdigit() and int(limit) < most:
        yield fail("OpenMP", f"OMP_THREAD_LIMIT={limit}, {most} threads configured", "unset OMP_THREAD_LIMIT")
    tied = [name for name in ("OMP_PROC_BIND", "GOMP_CPU_AFFINITY", "KMP_AFFINITY") if _ties(facts, name)]
    if tied:
        remedy = f"unset {', '.join(tied)}; pin processes with taskset instead"
        yield warn("OpenMP", "threads are tied to cores: two nodes compute on the same ones", remedy)
    if not tied:
        set_to = facts.variables.get("OMP_NUM_THREADS")
        besides = f"; OMP_NUM_THREADS={set_to} does not count, nodes set theirs" if set_to else ""
        yield ok("OpenMP", f"threads are not tied to cores{besides}")


def _ties(facts: MachineFacts, name: str) -> bool:
    return facts.variables.get(name, "false").lower() not in ("false", "", "none", "disabled")


def _governor(cpu: CpuFacts) -> Iterator[Finding]:
    others = sorted({name for name in cpu.governors if name != "performance"})
    if not cpu.governors:
        yield ok("cpu governor", "the kernel does not say (usual on virtual machines)")
    elif others:
        message = f"{', '.join(others)}: a core is slow when work begins, so the first request after a pause is too"
        yield warn("cpu governor", message, "cpupower frequency-set -g performance, where power allows")
    else:
        yield ok("cpu governor", "performance")


def _speed(cpu: CpuFacts) -> Iterator[Finding]:
    if cpu.highest_hz and cpu.allowed_hz and cpu.allowed_hz < 0.999 * cpu.highest_hz:
        message = f"held to {cpu.allowed_hz / 1e9:.2f} of {cpu.highest_hz / 1e9:.2f} GHz"
        yield warn("cpu frequency", message, "raise it with cpupower frequency-set -u, or measure as it stays")
    elif cpu.highest_hz:
        yield ok("cpu frequency", f"up to {cpu.highest_hz / 1e9:.2f} GHz")
    if cpu.throttled:
        message = f"heat has slowed cores down {cpu.throttled} times since the machine started"
        yield warn("cpu heat", message, "cool it, or set fewer threads: times then stay as measured")


def _load(cpu: CpuFacts) -> Finding:
    said = f"{cpu.load:.1f} processes wanted to run in the last minute, {cpu.cores} cores"
    if cpu.load > cpu.cores:
        return warn("load", said, "start nodes when the machine is quiet: what they measure at their start is slow now")
    return ok("load", said)


def _clocks(facts: MachineFacts) -> Iterator[Finding]:
    """Durations are measured on one clock each and no timestamp crosses the link, so a wall clock that is off against
    the other side's changes no choice. It counts for certificates, and for reading two machines' logs side by side."""
    if facts.resolution_s > _COARSEST_S:
        message = f"steps of {facts.resolution_s:.1g} s: stages shorter than that look free"
        yield warn("monotonic clock", message, "choose another clocksource= on the kernel's command line")
    elif facts.clock_source in _SLOW_SOURCES:
        message = f"driven by {facts.clock_source}: every look costs about a microsecond"
        yield warn("monotonic clock", message, "boot with tsc or the hypervisor's clock as clocksource=")
    else:
        driven = f", driven by {facts.clock_source}" if facts.clock_source else ""
        yield ok("monotonic clock", f"steps of {facts.resolution_s:.1g} s{driven}")
    if facts.wall_s < facts.installed_s - _DAY_S:
        message = "stands before the day on which this package was installed: certificates will seem not yet valid"
        yield fail("wall clock", message, "set it (timedatectl set-ntp true)")
    else:
        yield ok("wall clock", "plausible; skew against the other side counts for certificates and logs, no duration")


def _open_files(files: OpenFiles, sides: Sequence[Compute]) -> Iterator[Finding]:
    for side in sides:
        wanted, name = side.connections + _FILES_BESIDES, f"{side.side} open files"
        said = f"{files.soft:g} allowed, {wanted} needed by {side.side}.limits.connections: {side.connections}"
        if files.soft >= wanted:
            yield ok(name, said)
            continue
        how = f"ulimit -n {wanted}" if files.hard >= wanted else f"LimitNOFILE={wanted} in the service's unit"
        yield warn(name, said, f"{how}, or lower {side.side}.limits.connections")
