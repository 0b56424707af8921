"""A plain grpc.aio server that answers the Open Inference Protocol with the whole model: cloud-only by hand.

python -m benchmarks.peer_programs.raw_server ARTIFACT
"""

from __future__ import annotations

import asyncio
import sys

import grpc

from benchmarks.peer_programs.ready import end_with_the_benchmark, say_ready
from benchmarks.peer_programs.whole_model import WholeModel
from isthmus.oip import open_inference_pb2 as oip
from isthmus.oip import open_inference_pb2_grpc
from nodes.compute_pool import ComputePool
from nodes.transport.channel_options import SERVER_OPTIONS


class _Service(open_inference_pb2_grpc.GRPCInferenceServiceServicer):
    def __init__(self, model: WholeModel, pool: ComputePool) -> None:
        self._model, self._pool = model, pool

    async def ModelInfer(  # noqa: N802
        self, request: oip.ModelInferRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> oip.ModelInferResponse:
        return await self._pool.run(self._model.answer, request)


async def serve(artifact: str) -> None:
    with ComputePool(1) as pool:
        server = grpc.aio.server(options=SERVER_OPTIONS)
        service = _Service(await pool.run(WholeModel, artifact), pool)  # type: ignore[abstract]
        open_inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(service, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        say_ready({"model": ("127.0.0.1", port)})
        await server.wait_for_termination()


if __name__ == "__main__":
    end_with_the_benchmark()
    asyncio.run(serve(sys.argv[1]))
