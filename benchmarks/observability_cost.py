"""What does sight cost? CPU seconds a request of an edge with everything on, against one with everything off.

On: metrics scraped every 14 s and a page polled every 2 s; every decision on disk; spans of every request to
an OTLP endpoint that takes them; logs as JSON. Off: none of it. Both edges are processes on one core and know no cloud,
clients, scrapes and the endpoint are on the other. The figure is of efficientnet-lite0, computed on the edge; beside it
stands a model of no work, where the same microseconds weigh the most. What counts is the process's CPU clock, its
threads that write and export included.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import torch
import uvloop
from torch import nn

from benchmarks.figure import Figure, Options, measure_pairs, microseconds, parse_options, ratio_figure, report
from benchmarks.gateway_throughput import CLIENT_CORE, SERVER_CORE, Clients
from benchmarks.node_process import NodeProcess, on_core
from isthmus import zoo
from isthmus.oip import open_inference_pb2 as oip
from isthmus.telemetry import LogSettings
from nodes.settings import EdgeSettings, JournalSettings, ModelArtifact
from partitioner.artifact import save_artifact
from partitioner.front_end import model_from_module
from partitioner.model import Model

GOAL, ROUNDS, QUICK_ROUNDS = 1.02, 60, 20
POLL_S, SCRAPE_EVERY = 2.0, 7
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
METRICS, PAGE = "127.0.0.1:19464", "127.0.0.1:19465"


@dataclass(frozen=True, slots=True)
class Subject:
    """A model, and how many requests for it are one measurement: some tenths of a second."""

    model: Model
    requests: int

    @property
    def message(self) -> bytes:
        """A request for one item."""
        (tensor,) = self.model.graph.inputs
        shape = [1, *(size.fixed for size in self.model.graph.tensors[tensor].shape[1:])]
        message = oip.ModelInferRequest(
            model_name=self.model.name, raw_input_contents=[torch.zeros(shape).numpy().tobytes()]
        )
        message.inputs.add(name=self.model.interface.inputs[0].name, datatype="FP32", shape=shape)
        return message.SerializeToString()


def subjects() -> dict[str, Subject]:
    nothing = model_from_module(nn.Identity(), (torch.zeros(2, 1000),), "nothing")
    return {
        "efficientnet-lite0": Subject(model_from_module(zoo.efficientnet_lite0()), 12),
        "a model of no work": Subject(nothing, 320),
    }


class _Endpoint(grpc.GenericRpcHandler):
    """Takes spans, as a collector does. exports: how often."""

    def __init__(self) -> None:
        self.exports = 0

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        if handler_call_details.method != EXPORT:
            return None
        return grpc.unary_unary_rpc_method_handler(self._take)

    async def _take(self, _request: bytes, _context: object) -> bytes:
        self.exports += 1
        return b""


@contextlib.asynccontextmanager
async def collecting() -> AsyncIterator[tuple[str, _Endpoint]]:
    """An OTLP endpoint, and where it is."""
    endpoint, server = _Endpoint(), grpc.aio.server()
    server.add_generic_rpc_handlers((endpoint,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"http://127.0.0.1:{port}", endpoint
    finally:
        await server.stop(None)


@contextlib.asynccontextmanager
async def edge(settings: EdgeSettings, environment: Mapping[str, str]) -> AsyncIterator[NodeProcess]:
    """It runs in the block, on the servers' core."""
    process = NodeProcess("edge", settings, environment)
    try:
        with on_core(SERVER_CORE):
            await process.start()
        yield process
    finally:
        await process.end(kill=True)


async def watch(seen: list[int]) -> None:
    """Poll the page as a browser does, and scrape as Prometheus does by default, until cancelled. seen: bytes of each
    answer."""

    def fetch(url: str) -> bytes:
        with urllib.request.urlopen(url, timeout=20) as answer:
            data: bytes = answer.read()
        seen.append(len(data))
        return data

    number = 0
    for turn in itertools.count():
        if turn % SCRAPE_EVERY == 0:
            await asyncio.to_thread(fetch, f"http://{METRICS}/metrics")
        said = json.loads(await asyncio.to_thread(fetch, f"http://{PAGE}/sight.json?since={number}"))
        number = max([number, *(moment["number"] for moment in said["history"]["moments"])])
        await asyncio.sleep(POLL_S)


async def measure(options: Options) -> Figure:
    of, rounds = subjects(), QUICK_ROUNDS if options.quick else ROUNDS
    with tempfile.TemporaryDirectory() as scratch:
        folder, models = Path(scratch), list[ModelArtifact]()
        for subject in of.values():
            save_artifact(subject.model, folder / subject.model.name)
            models.append(ModelArtifact(subject.model.name, str(folder / subject.model.name)))
        off = EdgeSettings(tuple(models), "127.0.0.1:0", "", drain_s=1.0)
        on = EdgeSettings(
            tuple(models), "127.0.0.1:0", "", drain_s=1.0, metrics_listen=METRICS, page_listen=PAGE,
            decision_log=JournalSettings(str(folder / "decisions"), 64 << 20), log=LogSettings("info", "json"),
        )  # fmt: skip
        async with (
            collecting() as (address, endpoint),
            edge(on, {"OTEL_EXPORTER_OTLP_ENDPOINT": address}) as seeing,
            edge(off, {}) as blind,
        ):
            seen = list[int]()
            watching = asyncio.create_task(watch(seen))
            figures = {name: await compare(seeing, blind, one, rounds, options) for name, one in of.items()}
            if watching.done():
                watching.result()  # raises why nobody watched
            watching.cancel()
    if not (endpoint.exports and seen):
        raise RuntimeError(f"nothing was seen: {endpoint.exports} exports, {len(seen)} scrapes and polls")
    return told(figures, f"{endpoint.exports} exports of spans, {len(seen)} scrapes and polls")


async def compare(seeing: NodeProcess, blind: NodeProcess, subject: Subject, rounds: int, options: Options) -> Figure:
    loop = asyncio.get_running_loop()

    def cost(process: NodeProcess) -> Callable[[], float]:
        clients = Clients(process.address, process.pid, subject.message)
        return lambda: asyncio.run_coroutine_threadsafe(
            clients.cpu_s_per_request(1, subject.requests), loop
        ).result()  # fmt: skip

    samples = await asyncio.to_thread(measure_pairs, cost(seeing), cost(blind), rounds, options.seed)
    return ratio_figure("observability_cost", samples, GOAL, options)


def told(figures: Mapping[str, Figure], counted: str) -> Figure:
    """The first one, with the others beside."""
    first = next(iter(figures.values()))
    rows = {
        name: f"{one.value:.4f} [{one.low:.4f}, {one.high:.4f}], floor {one.floor:.4f}, "
        f"{microseconds(one, 'a'):.0f} against {microseconds(one, 'b'):.0f} us a request: {one.verdict}"
        for name, one in figures.items()
    }
    return replace(
        first, details={**rows, "meanwhile": counted, "cores": f"edges {SERVER_CORE}, clients {CLIENT_CORE}"}
    )


def main() -> None:
    options = parse_options(__doc__)
    with on_core(CLIENT_CORE), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report(runner.run(measure(options)), options)


if __name__ == "__main__":
    main()
