"""Model and code rolled over while clients ask without a pause: how many requests fail, how many answers are wrong.

A real `isthmus up` (two replicas on Ray Serve, the edge a process) that follows its configuration file; real compute;
the model is cloud-required, so that no request can hide on the edge. In turn: another model under the same name; other
code of this project, changed in the folder that the replicas import it from, as an upgrade in place does; a version
whose replicas cannot start, which must be rolled back. Each time the file is saved and the benchmark waits until the
launcher says what became of it.

Failed is a request that ends in any error (deadline 10 s). Wrong is an answer that is neither the old nor the new
model's whole output, or is the old model's though the request was sent after the roll-out, or the new one's before it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import grpc
import numpy as np
import torch

import isthmus
from benchmarks.figure import Figure, machine, parse_options, report
from isthmus.client import AsyncClient
from isthmus.errors import IsthmusError
from isthmus.v1 import fleet_pb2, fleet_pb2_grpc
from nodes.measure.batch_times import relative_difference
from partitioner.artifact import save_artifact
from partitioner.front_end import model_from_module
from partitioner.model import Model

NAME, WIDTH, CLIENTS, DEADLINE_S, PATIENCE_S = "rolled", 64, 4, 10.0, 120.0
PACKAGES = ("isthmus", "nodes", "partitioner", "scheduler", "simulations")
# What the upgraded code does differently, where one can see it: a word in its replicas' ids.
OLD_LINE, NEW_ID = "replica_id = settings.id_prefix + uuid.uuid4().hex[:12]", "upgraded-"
BROKEN_LINE = 'raise Unavailable("this version does not start")'


def versions_of_a_model() -> tuple[Model, Model]:
    """Two models of one shape."""
    made = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        layers = torch.nn.Sequential(torch.nn.Linear(WIDTH, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10))
        model = model_from_module(layers.eval(), (torch.zeros(2, WIDTH),), NAME)
        made.append(replace(model, interface=replace(model.interface, autonomy="cloud-required")))
    return made[0], made[1]


@dataclass(frozen=True, slots=True)
class Answer:
    """sent_s: on the monotonic clock. version: 0 or 1, the model that it is of; -1 for neither. error: "" for none."""

    sent_s: float
    took_s: float
    version: int
    finished_by: str = ""
    error: str = ""


@dataclass
class Turn:
    """One saved file. versions: which the model may be while it is rolled out, and after it."""

    what: str
    said: str
    during: frozenset[int]
    after: int
    began_s: float = 0.0
    ended_s: float = 0.0


@dataclass
class Launcher:
    """`isthmus up` in a folder, on a copy of this project's code there."""

    folder: Path
    process: subprocess.Popen[str]
    gateway: str = ""
    settings: dict[str, object] = field(default_factory=dict)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def save(self, **cloud: object) -> None:
        """The configuration with these keys of the cloud changed; `source` is the model's."""
        self.settings |= cloud
        source = self.settings.get("source", "one")
        keys = {key: value for key, value in self.settings.items() if key != "source"}
        text = {
            "models": [{"name": NAME, "source": source}],
            "edge": {"listen": "127.0.0.1:0", "runtime": "process"},
            "cloud": {"replicas": 2, "registry_listen": "127.0.0.1:0", "overlap": "30s", **keys},
        }
        other = self.folder / "isthmus.new"
        other.write_text(json.dumps(text))  # JSON is YAML
        other.replace(self.folder / "isthmus.yaml")

    def start(self) -> None:
        with (self.folder / "log").open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "isthmus", "up", "isthmus.yaml"], cwd=self.folder, stdout=subprocess.PIPE,
                stderr=log, text=True, env=os.environ | {"PYTHONPATH": str(self.folder / "code")},
            )  # fmt: skip

    async def says(self, words: str, since: int) -> str:
        """The line with these words, once it is in the log after so many characters."""
        began_s = time.monotonic()
        while time.monotonic() - began_s < PATIENCE_S and self.process.poll() is None:
            for line in self.log[since:].splitlines():
                if words in line:
                    return line
            await asyncio.sleep(0.1)
        raise TimeoutError(f"launcher did not say {words!r}: {self.log[-2000:]}")


@contextlib.asynccontextmanager
async def launched(models: tuple[Model, Model]) -> AsyncIterator[Launcher]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = Path(isthmus.__file__).parent.parent
        for package in PACKAGES:
            shutil.copytree(root / package, folder / "code" / package, ignore=shutil.ignore_patterns("__pycache__"))
        for model, place in zip(models, ("one", "two"), strict=True):
            save_artifact(model, folder / place)
        launcher = Launcher(folder, None)  # type: ignore[arg-type]
        launcher.save()
        launcher.start()
        try:
            line = await asyncio.wait_for(asyncio.to_thread(launcher.process.stdout.readline), PATIENCE_S)  # type: ignore[union-attr]
            if not line.startswith("ready: "):
                raise RuntimeError(launcher.log)
            launcher.gateway = line.strip().removeprefix("ready: grpc://")
            yield launcher
        finally:
            launcher.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(launcher.process.wait, 60)
            launcher.process.kill()
            await asyncio.to_thread(launcher.process.wait)


class Clients:
    """Ask one request after the other until they are told to stop."""

    def __init__(self, gateway: str, models: tuple[Model, Model]) -> None:
        self.answers: list[Answer] = []
        self._gateway, self._models, self._over = gateway, models, False

    async def run(self) -> None:
        async with AsyncClient(self._gateway) as client:
            await asyncio.gather(*(self._ask_on(client, number) for number in range(CLIENTS)))

    def stop(self) -> None:
        self._over = True

    async def _ask_on(self, client: AsyncClient, number: int) -> None:
        rng = np.random.default_rng(number)
        while not self._over:
            inputs, sent_s = rng.normal(size=(1, WIDTH)).astype(np.float32), time.monotonic()
            try:
                result = await client.infer(
                    NAME, {self._models[0].interface.inputs[0].name: inputs}, timeout_s=DEADLINE_S
                )
            except IsthmusError as error:
                self.answers.append(
                    Answer(sent_s, time.monotonic() - sent_s, -1, "", f"{type(error).__name__}: {error}")
                )
                continue
            (answer,) = result.outputs.values()
            version = self._version(torch.from_numpy(inputs), torch.from_numpy(answer.copy()))
            finished_by = str(result.parameters["isthmus_finished_by"])
            self.answers.append(Answer(sent_s, time.monotonic() - sent_s, version, finished_by))
            await asyncio.sleep(0.005)

    def _version(self, inputs: torch.Tensor, answer: torch.Tensor) -> int:
        with torch.inference_mode():
            right = [relative_difference(answer, model(inputs)[0]) <= 1e-5 for model in self._models]
        return right.index(True) if sum(right) == 1 else -1


async def replica_ids(launcher: Launcher) -> list[str]:
    """Who is in the registry."""
    registry = launcher.log.split("fleet registry at ")[1].split()[0]
    async with grpc.aio.insecure_channel(registry) as channel:
        view = await anext(
            aiter(fleet_pb2_grpc.FleetServiceStub(channel).Watch(fleet_pb2.WatchRequest(edge_id="look")))
        )
    return [replica.replica_id for replica in view.replicas]


async def measure(rest_s: float) -> tuple[list[Turn], list[Answer], dict[str, object]]:
    models = versions_of_a_model()
    async with launched(models) as launcher:
        host = launcher.folder / "code" / "nodes" / "cloud_host.py"
        clients = Clients(launcher.gateway, models)
        asking = asyncio.create_task(clients.run())
        turns, facts = list[Turn](), dict[str, object]()

        async def turn(one: Turn, **cloud: object) -> None:
            await asyncio.sleep(rest_s)
            since, one.began_s = len(launcher.log), time.monotonic()
            launcher.save(**cloud)
            facts[f"said of {one.what}"] = (await launcher.says(one.said, since)).removeprefix("isthmus: ")
            one.ended_s = time.monotonic()
            turns.append(one)

        await turn(Turn("the model", "rolled out: models", frozenset((0, 1)), 1), source="two")
        host.write_text(
            host.read_text().replace(OLD_LINE, f"{OLD_LINE.replace('uuid.', chr(34) + NEW_ID + chr(34) + ' + uuid.')}")
        )
        await turn(Turn("the code", "rolled out: cloud.version", frozenset((1,)), 1), version="upgraded")
        upgraded = await replica_ids(launcher)
        facts["replicas after the code"] = upgraded
        host.write_text(
            host.read_text()
            .replace("        keep_freed_memory()\n", f"        {BROKEN_LINE}\n", 1)
            .replace("from isthmus.telemetry", "from isthmus.errors import Unavailable\nfrom isthmus.telemetry", 1)
        )
        await turn(Turn("a broken version", "not rolled out", frozenset((1,)), 1), version="broken")
        facts["replicas after the broken version"] = await replica_ids(launcher)
        await asyncio.sleep(rest_s)
        clients.stop()
        await asking
        facts["code is the new one"] = bool(upgraded) and all(NEW_ID in one for one in upgraded)
        facts["rolled back to the same replicas"] = facts["replicas after the broken version"] == upgraded
    return turns, clients.answers, facts


def wrong(answers: list[Answer], turns: list[Turn]) -> int:
    """Answers of a version that could not be asked when they were."""
    count = 0
    for one in answers:
        if one.error:
            continue
        allowed = {0}
        for turn in turns:
            if one.sent_s > turn.ended_s:
                allowed = {turn.after}
            elif one.sent_s + one.took_s > turn.began_s:
                allowed |= turn.during
                break
        count += one.version not in allowed
    return count


def main() -> None:
    options = parse_options(__doc__ or "")
    turns, answers, facts = asyncio.run(measure(3.0 if options.quick else 20.0))
    failed, mistaken = [one.error for one in answers if one.error], wrong(answers, turns)
    took_ms = np.array([one.took_s * 1e3 for one in answers])
    details = {
        "failed": f"{len(failed)} of {len(answers)} {dict(Counter(failed))}",
        "wrong": mistaken,
        "answered by version": dict(Counter(one.version for one in answers)),
        "finished by": dict(Counter(one.finished_by for one in answers if not one.error)),
        "seconds from saving to done": {turn.what: round(turn.ended_s - turn.began_s, 1) for turn in turns},
        "latency": f"p50 {np.quantile(took_ms, 0.5):.1f} ms, p99 {np.quantile(took_ms, 0.99):.1f} ms, "
        f"longest {took_ms.max():.0f} ms",
        **facts,
    }
    bad = float(len(failed) + mistaken)
    holds = not bad and bool(facts["code is the new one"]) and bool(facts["rolled back to the same replicas"])
    numbers = (bad, bad, bad, 0.0, len(answers), 0.0, holds)
    report(Figure("rollout", *numbers, machine(), options.seed, "holds" if holds else "missed", details), options)


if __name__ == "__main__":
    main()
