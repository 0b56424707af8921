"""The locust file: `isthmus load SCENARIO.yaml` runs it, or `locust -f` with ISTHMUS_SCENARIO set.

A user of locust's is a client of the scenario. It does not ask by itself: it tells the generator process of this worker
to begin its arrivals, which go on whether or not answers come; locust collects what became of them.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import gevent
import gevent.event
from locust import LoadTestShape, User, constant, events, task
from locust.env import Environment
from locust.rpc import Message
from locust.runners import MasterRunner, WorkerRunner

from isthmus.errors import IsthmusError
from simulations.load.client_kind import ClientKind, client_kinds, patience_s
from simulations.load.generator_process import GeneratorProcess
from simulations.load.lateness import LatenessSummary
from simulations.load.load_settings import LoadSettings
from simulations.scenario.reading import read_scenario
from simulations.scenario.scenario import Scenario

_log = logging.getLogger("isthmus.load")
# From workers to their master.
_READY_MESSAGE, _RATE_MESSAGE, _FAULT_MESSAGE = "isthmus_ready", "isthmus_rate", "isthmus_fault"
# Users of several workers must not be the same clients.
_NUMBERS_A_WORKER = 1_000_000
_READY_S = 60.0
# Clients begin a moment after their generators are there.
_START_S = 0.5
# A generator whose patience is over closes its connection and says its last lines.
_LAST_WORDS_S = 10.0
# Workers tell their master what they counted every 3 s.
_WORKER_REPORTS_S = 4.0


def _load() -> tuple[LoadSettings, Scenario, tuple[ClientKind, ...]]:
    try:
        settings = LoadSettings.from_environment(os.environ)
        scenario = read_scenario(Path(settings.scenario)).scenario
        return settings, scenario, client_kinds(scenario, settings.edge)
    except IsthmusError as error:
        sys.exit(f"error: {error}")


SETTINGS, SCENARIO, KINDS = _load()


class Load:
    """The generator of this process, and what it says put into locust's statistics."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._generator = GeneratorProcess(SETTINGS, environment.host or "127.0.0.1:8001")
        self._ready = gevent.event.Event()
        self._finishing = False
        self._reader = gevent.spawn(self._read)

    def wait_until_ready(self) -> None:
        """Before the first user: loading a generator takes a second or two, which no arrival may wait for."""
        self._ready.wait(_READY_S)

    def begin(self, name: str, number: int) -> None:
        """A client's arrivals."""
        self._generator.begin(name, number)

    def end(self, name: str, number: int) -> None:
        """No more of them."""
        self._generator.end(name, number)

    def finish(self) -> None:
        """Wait for what is under way; it still counts. A generator that then does not end has failed."""
        self._finishing = True
        self._generator.finish()
        self._reader.join(patience_s(KINDS) + _LAST_WORDS_S)
        self._generator.kill()
        self._reader.join()

    def _read(self) -> None:
        for message in self._generator.messages():
            if "client" in message:
                self._report(message)
            elif "rate" in message:
                self._tell_rate(message["rate"])
            elif "fault" in message:
                self._tell_fault(message["fault"])
            else:
                self._ready.set()
        self._ready.set()

    def _report(self, message: Mapping[str, Any]) -> None:
        error, took_s = message["error"], message["took_s"]
        self._environment.events.request.fire(
            request_type="infer",
            name=message["client"],
            # locust counts a request without a time, and leaves it out of means and percentiles: no time is not 0 ms.
            response_time=None if took_s is None else took_s * 1e3,
            response_length=message.get("bytes", 0),
            exception=RuntimeError(error) if error else None,
            context={"plan": message.get("plan"), "finished_by": message.get("finished_by")},
        )

    def _tell_rate(self, data: Mapping[str, object]) -> None:
        _judge(self._environment, data)
        if isinstance(self._environment.runner, WorkerRunner):
            self._environment.runner.send_message(_RATE_MESSAGE, dict(data))

    def _tell_fault(self, why: str) -> None:
        if isinstance(self._environment.runner, WorkerRunner):
            self._environment.runner.send_message(_FAULT_MESSAGE, {"why": why})
        _fail(self._environment, why)
        if not self._finishing:
            _end(self._environment)


def _judge(environment: Environment, data: Mapping[str, object]) -> None:
    """Say whether the generator kept its rate; a run in which it did not is no measurement, and a failure."""
    summary = LatenessSummary.from_json(data)
    if summary.kept:
        _log.info(str(summary))
    else:
        _log.error(str(summary))
        environment.process_exit_code = 1


def _fail(environment: Environment, why: str) -> None:
    _log.error(why)
    environment.process_exit_code = 1


def _end(environment: Environment) -> None:
    """There is no load to send. A worker is told by its master."""
    if environment.runner is not None and not isinstance(environment.runner, WorkerRunner):
        gevent.spawn(environment.runner.quit)


def _on_fault(environment: Environment, msg: Message, **_: object) -> None:
    """Of a worker."""
    _fail(environment, msg.data["why"])
    _end(environment)


class _Client(User):
    abstract = True
    wait_time = constant(1)
    kind: ClassVar[ClientKind]
    numbers: ClassVar[count[int]]
    load: ClassVar[Load | None] = None

    def on_start(self) -> None:
        """One more client of the kind."""
        worker = getattr(self.environment.runner, "worker_index", 0) or 0
        self.number = max(0, worker) * _NUMBERS_A_WORKER + next(type(self).numbers)
        if self.load is not None:
            self.load.begin(self.kind.name, self.number)

    @task
    def arrive(self) -> None:
        """Its arrivals come by themselves."""

    def on_stop(self) -> None:
        """One less."""
        if self.load is not None:
            self.load.end(self.kind.name, self.number)


def _user_class(kind: ClientKind) -> type[_Client]:
    attributes = {"kind": kind, "numbers": count(), "fixed_count": kind.count, "abstract": False}
    return type(kind.name, (_Client,), {**attributes, "__module__": __name__})


# locust takes the classes that it finds among the module's names.
USERS = {f"client_{number}": _user_class(kind) for number, kind in enumerate(KINDS)}
globals().update(USERS)


class ScenarioShape(LoadTestShape):
    """All clients of the scenario at once, for as long as it lasts. ends_s: when, by the monotonic clock; unknown
    before the generator is there."""

    ends_s: ClassVar[float] = math.inf

    @classmethod
    def begin(cls, drain_s: float = 0.0) -> None:
        """The scenario's time runs from now on. For so long more the answers to its last requests are awaited."""
        cls.ends_s = time.monotonic() + _START_S + SCENARIO.duration + drain_s

    def tick(self) -> tuple[int, float] | None:
        """(users, users to start a second), or None when it is over."""
        clients = sum(kind.count for kind in KINDS)
        return (clients, float(clients)) if time.monotonic() < self.ends_s else None


@events.init.add_listener
def _on_init(environment: Environment, **_: object) -> None:
    if isinstance(environment.runner, MasterRunner):
        # The last one's counts. A master quits without what its workers wait for then, so it waits beforehand.
        drain_s = _WORKER_REPORTS_S + patience_s(KINDS)
        environment.runner.register_message(_READY_MESSAGE, lambda **_: ScenarioShape.begin(drain_s))
        environment.runner.register_message(_RATE_MESSAGE, lambda environment, msg, **_: _judge(environment, msg.data))
        environment.runner.register_message(_FAULT_MESSAGE, _on_fault)


@events.test_start.add_listener
def _on_test_start(environment: Environment, **_: object) -> None:
    ScenarioShape.ends_s = math.inf
    if isinstance(environment.runner, MasterRunner):
        return
    for user_class in USERS.values():
        user_class.numbers = count()
    _Client.load = Load(environment)
    _Client.load.wait_until_ready()
    if isinstance(environment.runner, WorkerRunner):
        environment.runner.send_message(_READY_MESSAGE)
    ScenarioShape.begin()


@events.test_stopping.add_listener
def _on_test_stopping(environment: Environment, **_: object) -> None:
    if _Client.load is not None:
        _Client.load.finish()
        _Client.load = None
