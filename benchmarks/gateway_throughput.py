"""What does the gateway add to grpc.aio? CPU seconds a request of an edge that serves a model of no work, against a raw
grpc.aio server that parses the same ModelInferRequest and builds the same ModelInferResponse.

A: an edge node as a process, without a cloud, all of its path: checks, choice, queue, worker, account. B: the raw
server, parameters and all, on the same event loop and channel options. Both on one core, clients on the other; 1, 8 and
64 clients, each with a connection of its own, each asking again once it is answered. What counts is the server
process's CPU clock: clients share the machine, and requests a second only stand beside. The figure is the worst
of the three ratios. Beside it stands the gateway alone (messages, checks, account) in front of a node that answers at
once: the rest is what the node does.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import grpc
import torch
import uvloop
from torch import nn

from benchmarks.figure import Figure, Options, measure_pairs, microseconds, parse_options, ratio_figure, report
from benchmarks.node_process import NodeProcess, cpu_s, on_core
from benchmarks.raw_gateway import gateway_alone, raw_gateway
from isthmus.oip import open_inference_pb2 as oip
from nodes.gateway import ModelDescription, TensorDescription
from nodes.settings import EdgeSettings, ModelArtifact
from nodes.transport.channel_options import CHANNEL_OPTIONS
from nodes.transport.oip_messages import parameter_values
from partitioner.artifact import save_artifact
from partitioner.front_end import model_from_module

__all__ = ["Clients", "measure", "nothing_edge"]

GOAL, ROUNDS, REQUESTS, WARM_UP = 1.25, 30, 320, 640
CLIENTS = (1, 8, 64)
SERVER_CORE, CLIENT_CORE = 0, 1
MODEL, WIDTH = "nothing", 1000
METHOD = "/inference.GRPCInferenceService/ModelInfer"


@contextlib.asynccontextmanager
async def nothing_edge() -> AsyncIterator[NodeProcess]:
    """An edge that serves the identity of 1,000 floats an item and knows no cloud."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / MODEL
        save_artifact(model_from_module(nn.Identity(), (torch.zeros(2, WIDTH),), MODEL), folder)
        edge = NodeProcess("edge", EdgeSettings((ModelArtifact(MODEL, str(folder)),), "127.0.0.1:0", "", drain_s=1.0))
        try:
            with on_core(SERVER_CORE):
                await edge.start()
            yield edge
        finally:
            await edge.end(kill=True)


def request() -> bytes:
    """The message that every client sends: one item, raw contents."""
    message = oip.ModelInferRequest(model_name=MODEL, raw_input_contents=[bytes(4 * WIDTH)])
    message.inputs.add(name="input", datatype="FP32", shape=[1, WIDTH])
    return message.SerializeToString()


@dataclass
class Clients:
    """Connections to one server, and what a request costs it. rates: requests a second, by number of clients."""

    address: str
    pid: int
    message: bytes
    rates: dict[int, list[float]] = field(default_factory=dict)
    _asks: list[grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]] = field(default_factory=list)

    async def warm_up(self) -> None:
        """Connect all clients and ask until nothing is new."""
        await self.cpu_s_per_request(max(CLIENTS), WARM_UP)
        self.rates.clear()

    async def cpu_s_per_request(self, clients: int, requests: int) -> float:
        """Of the server's process, while so many clients share so many requests."""
        while len(self._asks) < clients:
            options = (*CHANNEL_OPTIONS, ("grpc.use_local_subchannel_pool", 1))
            self._asks.append(grpc.aio.insecure_channel(self.address, options=options).unary_unary(METHOD))
        began_s, used_s = time.perf_counter(), cpu_s(self.pid)
        await asyncio.gather(*(self._ask(ask, requests // clients) for ask in self._asks[:clients]))
        used_s, took_s = cpu_s(self.pid) - used_s, time.perf_counter() - began_s
        self.rates.setdefault(clients, []).append(requests / took_s)
        return used_s / requests

    async def _ask(self, ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes], times: int) -> None:
        for _ in range(times):
            await ask(self.message)

    async def answer(self) -> oip.ModelInferResponse:
        """One answer, read."""
        return oip.ModelInferResponse.FromString(await self._asks[0](self.message))


async def measure(options: Options, rounds: int) -> Figure:
    async with nothing_edge() as edge:
        ours = Clients(edge.address, edge.pid, request())
        await ours.warm_up()
        said = await ours.answer()
        parameters = parameter_values(said.parameters)
        tensor = (TensorDescription("input", "float32", (-1, WIDTH)),)
        described = ModelDescription(MODEL, said.model_version, tensor, tensor, 64)
        with contextlib.ExitStack() as stack:
            with on_core(SERVER_CORE):
                server = await asyncio.to_thread(stack.enter_context, raw_gateway(said.model_version, parameters))
                front = await asyncio.to_thread(
                    stack.enter_context, gateway_alone(described, str(parameters["isthmus_reason"]))
                )
            raw, alone = (Clients(one.address, one.pid, request()) for one in (server, front))
            for clients in (raw, alone):
                await clients.warm_up()
                _check_same(said, await clients.answer())
            figures = {count: await _compare(ours, raw, count, rounds, options) for count in CLIENTS}
            fronts = {count: await _compare(alone, raw, count, max(10, rounds // 3), options) for count in CLIENTS}
    return _worst(figures, fronts, ours, raw)


async def _compare(ours: Clients, raw: Clients, clients: int, rounds: int, options: Options) -> Figure:
    loop = asyncio.get_running_loop()

    def cost(of: Clients) -> float:
        return asyncio.run_coroutine_threadsafe(of.cpu_s_per_request(clients, REQUESTS), loop).result()

    samples = await asyncio.to_thread(measure_pairs, lambda: cost(ours), lambda: cost(raw), rounds, options.seed)
    return ratio_figure("gateway_throughput", samples, GOAL, options)


def _check_same(ours: oip.ModelInferResponse, theirs: oip.ModelInferResponse) -> None:
    """The baseline's answer is ours but for what changes from request to request."""
    for answer in (ours, theirs):
        answer.outputs[0].name = "output"
        answer.ClearField("parameters")
    assert ours == theirs, (ours, theirs)


def _worst(figures: Mapping[int, Figure], fronts: Mapping[int, Figure], ours: Clients, raw: Clients) -> Figure:
    rows = ["clients   ratio [low, high]       floor   us/request   raw's   requests/s   raw's   verdict"]
    for count, figure in figures.items():
        rates = [median(one.rates[count]) for one in (ours, raw)]
        own_us, raw_us = microseconds(figure, "a"), microseconds(figure, "b")
        rows.append(
            f"{count:7}   {figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]   {figure.floor:.3f}"
            f"   {own_us:10.0f}   {raw_us:5.0f}   {rates[0]:10.0f}   {rates[1]:5.0f}"
            f"   {figure.verdict}"
        )
    alone = [
        f"{count:7}   {one.value:.3f} [{one.low:.3f}, {one.high:.3f}]   {one.floor:.3f}"
        f"   {microseconds(one, 'a'):10.0f}"
        for count, one in fronts.items()
    ]
    worst = max(figures.values(), key=lambda figure: figure.value)
    details = {
        "CPU of the server's process": rows,
        "the gateway alone, before a node that answers at once": alone,
        "message": f"{len(ours.message)} bytes, FP32 [1, {WIDTH}], raw contents; the answer as long and 17 parameters",
        "cores": f"server on {SERVER_CORE}, clients on {CLIENT_CORE}",
    }
    return replace(worst, holds=all(figure.holds for figure in figures.values()), details=details)


def main() -> None:
    options = parse_options(__doc__)
    with on_core(CLIENT_CORE), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report(runner.run(measure(options, 12 if options.quick else ROUNDS)), options)


if __name__ == "__main__":
    main()
