"""What does a split cost besides its compute? Against a two-hop raw grpc.aio relay that moves as many bytes.

A: a split request through a standard client on loopback, edge and cloud as processes, minus the compute that the answer
reports: edge (prefix, encode) and cloud (decode, suffix, encode). B: client, relay, server, each a process; the
input's bytes on the first hop, the plan's wire bytes on the second, the output's back over both. Both hops of B are
unary calls with the project's channel options; A answers on a standing stream behind a unary call. The edge is slowed
as in the demo, since equal sides are offered no split; the emulated sleep counts as edge compute and so is taken off.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import grpc
import numpy as np

from benchmarks.figure import Figure, Options, measure_pairs, parse_options, ratio_figure, report
from isthmus.client import AsyncClient, Result
from isthmus.configuration import CloudConfiguration, Configuration, EdgeConfiguration, ModelConfiguration
from isthmus.demo import SLOWDOWN
from isthmus.deployment import Sides, deploy
from isthmus.model_export import export_models
from nodes.transport.channel_options import CHANNEL_OPTIONS, SERVER_OPTIONS

GOAL, ROUNDS, WARM_UP, TIMEOUT_S = 2.0, 200, 10, 30.0
MODEL, SOURCE = "efficientnet-lite0", "isthmus.zoo:efficientnet_lite0"
METHOD = "/benchmark/Move"
Handler = Callable[[bytes, object], Coroutine[None, None, bytes]]


class _Service(grpc.GenericRpcHandler):
    def __init__(self, handler: Handler) -> None:
        self._handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(handler)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        return self._handler


async def serve(ready: Connection, target: str, size: int) -> None:
    """Without a target: answer every message with `size` bytes. With one: send it `size` bytes, relay its answer."""
    data = bytes(size)
    async with grpc.aio.insecure_channel(target or "127.0.0.1:1", options=CHANNEL_OPTIONS) as channel:
        onward: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)

        async def answer(_message: bytes, _context: object) -> bytes:
            return await onward(data) if target else data

        server = grpc.aio.server(options=SERVER_OPTIONS)
        server.add_generic_rpc_handlers((_Service(answer),))
        ready.send(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
        await server.start()
        await server.wait_for_termination()


def _serve(ready: Connection, target: str, size: int) -> None:
    asyncio.run(serve(ready, target, size))


@contextlib.contextmanager
def process(target: str, size: int) -> Iterator[str]:
    """A relay or server in a process of its own; its address."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_serve, args=(theirs, target, size), daemon=True)
    child.start()
    try:
        yield str(ours.recv())
    finally:
        child.kill()
        child.join()


@contextlib.asynccontextmanager
async def edge_and_cloud() -> AsyncIterator[AsyncClient]:
    """A client of a running deployment without an emulated link."""
    configuration = Configuration(
        models=(ModelConfiguration(name=MODEL, source=SOURCE),),
        edge=EdgeConfiguration(listen="127.0.0.1:0", runtime="process", emulate_slowdown=SLOWDOWN),
        cloud=CloudConfiguration(registry_listen="127.0.0.1:0", runtime="process"),
    )
    export = partial(export_models, configuration.models, Path.cwd(), lambda _: None)
    running_deployment = deploy(configuration, Sides(True, True), export, lambda _: None)
    async with running_deployment as running, AsyncClient(running.gateway) as client:
        yield client


async def measure(options: Options) -> Figure:
    loop = asyncio.get_running_loop()
    image = np.random.default_rng(options.seed).standard_normal((1, 3, 224, 224), dtype=np.float32)
    async with edge_and_cloud() as client:

        async def ask(policy: str) -> Result:
            return await client.infer(MODEL, {"image": image}, TIMEOUT_S, policy)

        split = [await ask("fixed:split") for _ in range(WARM_UP)][-1]
        output_bytes = sum(output.nbytes for output in split.outputs.values())
        uplink_bytes = int(split.parameters["isthmus_wire_bytes"]) - output_bytes
        wholes_s: list[float] = []

        async def overhead_s() -> float:
            started_s = time.perf_counter()
            result = await ask(f"fixed:{split.plan_id}")  # one plan throughout: the same bytes in every round
            wholes_s.append(time.perf_counter() - started_s)
            assert result.parameters["isthmus_finished_by"] == "cloud", result.parameters
            return wholes_s[-1] - (result.timings["edge"] + result.timings["cloud"]) / 1e3

        with contextlib.ExitStack() as stack:
            # In a thread: this loop also serves the fleet registry, and a spawned child takes seconds to import.
            server = await asyncio.to_thread(stack.enter_context, process("", output_bytes))
            relay = await asyncio.to_thread(stack.enter_context, process(server, uplink_bytes))
            async with grpc.aio.insecure_channel(relay, options=CHANNEL_OPTIONS) as channel:
                move: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)
                message = image.tobytes()

                async def relay_s() -> float:
                    started_s = time.perf_counter()
                    await move(message)
                    return time.perf_counter() - started_s

                def sync(work: Callable[[], Coroutine[None, None, float]]) -> Callable[[], float]:
                    return lambda: asyncio.run_coroutine_threadsafe(work(), loop).result()

                for _ in range(WARM_UP):
                    await relay_s()
                rounds = 60 if options.quick else ROUNDS
                samples = await asyncio.to_thread(measure_pairs, sync(overhead_s), sync(relay_s), rounds, options.seed)
    details = {
        "request_ms_p50": round(1e3 * float(np.median(wholes_s)), 3),
        "bytes": {"input": image.nbytes, "wire_up": uplink_bytes, "output": output_bytes},
        "plan": str(split.parameters["isthmus_reason"]),
        "engine": f"eager, one thread a side, edge slowed {SLOWDOWN:g} times by sleeping; all share the cores",
    }
    return ratio_figure("split_overhead", samples, GOAL, options, details=details)


def main() -> None:
    options = parse_options(__doc__)
    report(asyncio.run(measure(options)), options)


if __name__ == "__main__":
    main()
