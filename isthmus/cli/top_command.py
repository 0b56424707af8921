"""`isthmus top`: an edge live in the terminal."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus.cli.connection_options import DEFAULT_SERVER, Authority, Certificate, Key, Server, tls_files
from isthmus.errors import IsthmusError

if TYPE_CHECKING:
    from nodes.transport.operator_client import OperatorClient

__all__ = ["top"]

PERIOD_S = 1.0


def top(
    server: Server = DEFAULT_SERVER,
    tls_authority: Authority = "",
    tls_certificate: Certificate = "",
    tls_key: Key = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, as it is now, and end.")] = False,
) -> None:
    """Watch an edge: what needs attention, replicas, link, queues, requests, plans, stages, prediction error.

    Live until Ctrl-C; where the output is no terminal, once.
    """
    from rich.console import Console

    from nodes.transport.operator_client import OperatorClient

    console = Console()
    tls = tls_files(tls_authority, tls_certificate, tls_key)

    async def run() -> None:
        client = OperatorClient(server, tls)
        try:
            if as_json:
                print(await client.sight())
            elif console.is_terminal:
                await _live(client, console, server)
            else:
                from isthmus.cli.top_view import top_view

                console.print(top_view(json.loads(await client.sight()), server, console.width))
        finally:
            await client.close()

    asyncio.run(run())


async def _live(client: OperatorClient, console: Any, server: str) -> None:
    from rich.live import Live

    from isthmus.cli.top_view import top_view

    with Live(console=console, screen=True, auto_refresh=False) as live:
        async for sight, silent_s in _sights(client):
            live.update(top_view(sight, server, console.width, silent_s), refresh=True)


async def _sights(client: OperatorClient) -> AsyncGenerator[tuple[dict[str, Any], float], None]:
    """What the edge says every second, and for how long it has not; the first must be there. Raises as that."""
    said, heard_s = json.loads(await client.sight()), time.monotonic()
    moments = said["history"]["moments"]
    while True:
        yield said, time.monotonic() - heard_s
        await asyncio.sleep(PERIOD_S)
        try:
            new = json.loads(await client.sight(since=moments[-1]["number"] if moments else 0))
        except IsthmusError:  # gone, or it hangs: for how long is shown
            continue
        if new["edge"]["run"] != said["edge"]["run"]:
            moments = []
        moments = [*moments, *new["history"]["moments"]][-new["history"]["kept"] :]
        new["history"]["moments"] = moments
        said, heard_s = new, time.monotonic()
