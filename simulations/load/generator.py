"""The process that sends a load. Apart from locust's: neither gevent nor statistics nor a web page delays a request.

Lines of JSON. In: the settings with the edge's address, then {"begin": CLIENT, "number": N}, {"end": ...} and
{"finish": true}; the end of the input finishes at once. Out: {"ready": true} or {"fault": WHY}, an outcome for each
request, and {"rate": ...} at the end. Without a fault or a rate in the end it has died.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import random
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import uvloop

from isthmus.client import AsyncClient, Result
from isthmus.errors import CloudUnavailable, IsthmusError
from nodes.tls_files import TlsFiles
from simulations.load.client_kind import Client, ClientKind, client_kinds, patience_s
from simulations.load.load_inputs import LoadInputs, input_files, load_inputs, read_inputs
from simulations.load.open_loop import Answer, OpenLoop, Outcome
from simulations.scenario.reading import read_scenario

__all__ = ["main"]

_STAGES = ("edge", "edge_queue", "uplink", "cloud", "cloud_queue", "downlink")


class _Lines:
    """Lines to standard output, from a thread: a full pipe must not hold back requests."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="lines")
        self._writer.start()

    def put(self, message: Mapping[str, object]) -> None:
        self._waiting.put(json.dumps(message))

    def close(self) -> None:
        self._waiting.put(None)
        self._writer.join()

    def _write(self) -> None:
        try:
            while (line := self._waiting.get()) is not None:
                print(line, flush=True)
        except OSError:  # nobody reads any more
            return


class _Asker:
    """Sends requests to one edge."""

    def __init__(self, client: AsyncClient, inputs: Mapping[str, LoadInputs], seed: int) -> None:
        self._client, self._inputs = client, inputs
        # Apart from the arrivals' sources, which are then equal to a simulation's.
        self._source = random.Random(f"{seed}/inputs")

    async def ask(self, client: Client, left_s: float | None) -> Answer:
        kind = client.kind
        result = await self._client.infer(
            kind.model,
            self._inputs[kind.name].draw(self._source),
            timeout_s=left_s,
            request_class=kind.request_class or None,
            priority=kind.priority,
            client=client.name,
        )
        return _answer(result)


def _answer(result: Result) -> Answer:
    edge_s = sum(result.timings.get(stage, 0.0) for stage in _STAGES) / 1e3
    size_bytes = sum(array.nbytes for array in result.outputs.values())
    return Answer(size_bytes, edge_s, result.plan_id, str(result.parameters.get("isthmus_finished_by", "")))


def main() -> None:
    """Run until told to finish."""
    # Ctrl-C reaches the whole process group; locust decides when the load ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lines = _Lines()
    try:
        uvloop.run(_run(lines))
    except IsthmusError as error:
        lines.put({"fault": str(error)})
    finally:
        lines.close()


async def _run(lines: _Lines) -> None:
    commands = _commands()
    settings = await commands.get()
    scenario = read_scenario(Path(settings["scenario"])).scenario
    kinds = client_kinds(scenario, settings["edge"])
    files = input_files(settings["inputs"], [kind.model for kind in kinds])
    given = {model: read_inputs(paths) for model, paths in files.items()}
    authority, certificate, key = settings["tls"]
    tls = TlsFiles(authority, certificate, key) if authority or certificate else None
    async with AsyncClient(settings["target"], tls) as client:
        if not await client.ready():
            raise CloudUnavailable(f"no edge is ready at {settings['target']}; start one with `isthmus up`")
        asker = _Asker(client, await load_inputs(client, kinds, given), scenario.seed)
        load = OpenLoop(
            asker.ask,
            lambda outcome: lines.put(_told(outcome)),
            seed=scenario.seed,
            until_s=scenario.duration,
            warm_up_s=scenario.warm_up,
        )
        lines.put({"ready": True})
        await _obey(commands, load, {kind.name: kind for kind in kinds})
        await load.finish(patience_s(kinds))
        lines.put({"rate": load.lateness.summary().to_json()})


async def _obey(commands: asyncio.Queue[dict[str, Any]], load: OpenLoop, kinds: Mapping[str, ClientKind]) -> None:
    while True:
        match await commands.get():
            case {"begin": str(name), "number": int(number)}:
                load.begin(Client(kinds[name], number))
            case {"end": str(name), "number": int(number)}:
                load.end(Client(kinds[name], number))
            case _:
                return


def _told(outcome: Outcome) -> dict[str, object]:
    answer = outcome.answer
    told: dict[str, object] = {"client": outcome.client, "took_s": outcome.took_s, "error": outcome.error}
    if answer is not None:
        told |= {"bytes": answer.size_bytes, "plan": answer.plan_id, "finished_by": answer.finished_by}
    return told


def _commands() -> asyncio.Queue[dict[str, Any]]:
    """What comes in, read by a thread; its end is a command to finish."""
    loop = asyncio.get_running_loop()
    commands: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def read() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, by a fault
            for line in sys.stdin:
                loop.call_soon_threadsafe(commands.put_nowait, json.loads(line))
            loop.call_soon_threadsafe(commands.put_nowait, {"finish": True})

    threading.Thread(target=read, name="commands", daemon=True).start()
    return commands


if __name__ == "__main__":
    main()
