"""Many runs of scenarios on all cores: each is kept in a file as soon as it has ended, so that a sweep that was broken
off goes on where it was, and what a change of the scenario does not touch is not simulated again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from isthmus.errors import InvalidInput, NotFound
from isthmus.version import VERSION
from partitioner.plain_json import canonical_json
from scheduler.decision_replay import log_paths
from simulations.fleet import Fleet
from simulations.fleet_policies import own_policy_files
from simulations.run_record import RunRecord
from simulations.scenario.scenario import Scenario

__all__ = ["Run", "Runs", "code_digest", "run_key"]

# What decides nothing of a single run. Its record says of which scenario it is: the name is not among it.
_BESIDE = {"replications", "sweep", "slo", "prices", "capacity"}


@dataclass(frozen=True, slots=True)
class Run:
    """One replication of a scenario and the file of its record."""

    scenario: Scenario
    folder: Path
    replication: int
    file: Path


class Runs:
    """Of scenarios, kept under one folder."""

    def __init__(self, keep: Path, workers: int) -> None:
        """workers: processes, 1 to use this one."""
        self._keep, self._workers = keep, workers

    def of(self, scenario: Scenario, folder: Path) -> tuple[Run, ...]:
        """The scenario's replications. folder: where it lies. Reads the files that the scenario names."""
        place = self._keep / run_key(scenario, folder)
        return tuple(
            Run(scenario, folder, number, place / f"{number:04}.npz") for number in range(scenario.replications)
        )

    def missing(self, runs: Sequence[Run]) -> tuple[Run, ...]:
        """Those without a record that can be read."""
        return tuple(run for run in runs if not _is_kept(run))

    def simulate(self, runs: Sequence[Run], ended: Callable[[Run], None]) -> None:
        """Run these; `ended` is called as each is kept. Raises what a run raises, the first one, OSError, and
        InvalidInput where a worker dies."""
        for run in runs:
            run.file.parent.mkdir(parents=True, exist_ok=True)
        if self._workers == 1 or len(runs) < 2:
            for run in runs:
                _simulate(run)
                ended(run)
            return
        # A fresh interpreter each: nothing of this process, its threads least of all, is in it.
        try:
            with ProcessPoolExecutor(min(self._workers, len(runs)), get_context("spawn")) as pool:
                under_way = {pool.submit(_simulate, run): run for run in runs}
                for run in _as_ended(under_way, pool):
                    ended(run)
        except BrokenProcessPool as error:
            problem = "a worker died, perhaps for want of memory"
            remedy = "set --workers 1; runs that have ended are kept"
            raise InvalidInput("workers", problem, value=self._workers, remedy=remedy) from error


def _as_ended(under_way: dict[Future[None], Run], pool: ProcessPoolExecutor) -> Iterator[Run]:
    try:
        for future in as_completed(under_way):
            future.result()
            yield under_way[future]
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise


def _simulate(run: Run) -> None:
    Fleet(run.scenario, run.folder).run(run.replication).save(run.file)


def _is_kept(run: Run) -> bool:
    try:
        RunRecord.load(run.file)
    except InvalidInput:
        return False
    return True


def run_key(scenario: Scenario, folder: Path) -> str:
    """What a run's result follows from, as 16 hex digits: the scenario but for what only answers go by, the contents of
    its files and of the modules of its policies, and the code that runs it (`code_digest`). What such a module imports,
    and policies that packages register, are not among it."""
    data = scenario.model_dump(mode="json", by_alias=True, exclude=_BESIDE)
    files = {path: _digest(Path(path)) or path for path in sorted(_files(data))}
    # Names of files stand for nothing but their contents, wherever they lie.
    told = _with_digests(data, files)
    policies = {name: _digest(path) for name, path in own_policy_files(scenario, str(folder.resolve())).items()}
    return hashlib.sha256(canonical_json([VERSION, code_digest(_PACKAGES), told, policies]).encode()).hexdigest()[:16]


_PACKAGES = tuple(Path(__file__).parents[1] / name for name in ("simulations", "scheduler", "nodes", "partitioner"))


@cache
def code_digest(packages: tuple[Path, ...]) -> str:
    """Of all that these hold in Python, by the names of the files: worked out once a process, in some 20 ms."""
    digest = hashlib.sha256()
    for package in packages:
        for path in sorted(package.rglob("*.py")):
            digest.update(f"{package.name}/{path.relative_to(package).as_posix()}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


_FILE_KEYS = frozenset({"plans", "trace", "markov", "file", "log"})


def _files(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, inside in value.items():
            yield from _files(inside, key if key == "plans" else name)
    elif isinstance(value, list):
        for inside in value:
            yield from _files(inside, key)
    elif isinstance(value, str) and key in _FILE_KEYS:
        yield value


def _with_digests(value: Any, files: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _with_digests(inside, files) for name, inside in value.items()}
    if isinstance(value, list):
        return [_with_digests(inside, files) for inside in value]
    return files.get(value, value) if isinstance(value, str) else value


def _digest(path: Path) -> str:
    """Of a file, or of a log's folder; "" where it cannot be read: what is wrong with it is said at the run."""
    digest = hashlib.sha256()
    try:
        for file in log_paths(path) if path.is_dir() else (path,):
            digest.update(file.read_bytes())
    except (OSError, NotFound):
        return ""
    return digest.hexdigest()
