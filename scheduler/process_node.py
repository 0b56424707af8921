"""One node in a process of its own: `python -m scheduler.process_node cloud|edge`, its settings on standard input.

The first line of standard input is the settings; its end is the order to drain, so a node never outlives its launcher,
however the launcher dies. Every line between, once the node is ready, is an order of `scheduler.node_orders`; they are
followed and answered one after the other. On standard output come JSON lines: `{"ready": ADDRESS}`, for an edge later
`{"planned": true}`, the answer to each order, or `{"error": MESSAGE, "kind": CLASS}` before the process ends with 1.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable

import uvloop

from isthmus.errors import IsthmusError
from isthmus.telemetry import configure_logging, get_logger
from nodes.cloud_host import CloudHost
from nodes.edge_host import EdgeHost
from nodes.settings import CloudSettings, EdgeSettings
from scheduler.edge_start import start_edge
from scheduler.node_answers import answer

__all__ = ["main", "until_hung"]

LONGEST_ORDER_BYTES = 16 << 20
CHECK_PERIOD_S, MOST_FAILURES = 2.0, 3


def main() -> int:
    """Run the node named on the command line until standard input ends or a signal comes."""
    configure_logging("warning")
    settings = sys.stdin.buffer.readline().decode()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(sys.argv[1], settings))
    except IsthmusError as error:
        _say(error=str(error), kind=type(error).__name__)
        return 1
    return 0


async def _run(side: str, settings: str) -> None:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    host = await _start(side, settings)
    try:
        _say(ready=host.address)
        waiting = [asyncio.create_task(over.wait()), asyncio.create_task(_answer_input(host))]
        hung = asyncio.create_task(_die_when_hung(host))
        planned = asyncio.create_task(_announce_plans(host))
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in (*waiting, planned, hung):
            task.cancel()
    finally:
        await host.drain()


async def _start(side: str, settings: str) -> CloudHost | EdgeHost:
    if side == "cloud":
        cloud = CloudSettings.from_json(settings)
        cloud.log.configure()
        return await CloudHost.start(cloud)
    edge = EdgeSettings.from_json(settings)
    edge.log.configure()
    return await start_edge(edge)


async def _announce_plans(host: CloudHost | EdgeHost) -> None:
    if isinstance(host, EdgeHost):
        await host.node.planned.wait()
        _say(planned=True)


async def _die_when_hung(host: CloudHost | EdgeHost) -> None:
    """A replica ends at once, without a drain, where what computes hangs: its launcher starts it again, and nothing can
    be waited for. An edge is not started again, and still says what is wrong."""
    if isinstance(host, CloudHost):
        await until_hung(host.node.check)
        os._exit(1)


async def until_hung(check: Callable[[], None], period_s: float = CHECK_PERIOD_S) -> None:
    """Return when `check` has raised so often in a row: once may be a process that was stopped for a while."""
    failures = 0
    while failures < MOST_FAILURES:
        await asyncio.sleep(period_s)
        try:
            check()
            failures = 0
        except IsthmusError as error:
            failures += 1
            get_logger("cloud").error("replica hangs", reason=str(error), failures=failures)


async def _answer_input(host: CloudHost | EdgeHost) -> None:
    """Follow every line, in turn; returns at the end of standard input, also where an order takes long."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(LONGEST_ORDER_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    orders: asyncio.Queue[str] = asyncio.Queue()
    answering = asyncio.create_task(_answer(orders, host))
    try:
        async for line in reader:
            orders.put_nowait(line.decode(errors="replace").strip())
    finally:
        answering.cancel()


async def _answer(orders: asyncio.Queue[str], host: CloudHost | EdgeHost) -> None:
    while True:
        _say(**await answer(await orders.get(), host))


def _say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    sys.exit(main())
