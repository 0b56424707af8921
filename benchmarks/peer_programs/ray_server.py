"""The whole model behind Ray Serve's own gRPC proxy, on a local Ray of its own.

python -m benchmarks.peer_programs.ray_server ARTIFACT
"""

from __future__ import annotations

import signal
import sys
import threading

import ray
from ray import serve
from ray.serve.config import gRPCOptions

from benchmarks.peer_programs.ready import end_with_the_benchmark, free_port, say_ready
from benchmarks.peer_programs.whole_model import WholeModel
from isthmus.oip import open_inference_pb2 as oip

_OBJECT_STORE_BYTES = 100 << 20
_ADD_SERVICER = "isthmus.oip.open_inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server"


class Replica:
    """One replica. The proxy calls the method that is named as the protocol's."""

    def __init__(self, artifact: str) -> None:
        self._model = WholeModel(artifact)

    def ModelInfer(self, request: oip.ModelInferRequest) -> oip.ModelInferResponse:  # noqa: N802
        return self._model.answer(request)


def main() -> None:
    ray.init(
        address="local",
        num_cpus=2,
        object_store_memory=_OBJECT_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
    )
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):  # after Ray has set its own
        signal.signal(number, lambda *_: told.set())
    end_with_the_benchmark()
    try:
        port = free_port()
        # The proxy also serves HTTP: on loopback, on a port that nobody uses.
        http = {"host": "127.0.0.1", "port": free_port()}
        grpc_options = gRPCOptions(port=port, grpc_servicer_functions=[_ADD_SERVICER])
        serve.start(proxy_location="HeadOnly", http_options=http, grpc_options=grpc_options)
        deployment = serve.deployment(Replica, ray_actor_options={"num_cpus": 0.1})
        serve.run(deployment.bind(sys.argv[1]), name="model", route_prefix="/")
        say_ready({"model": ("127.0.0.1", port)}, version=ray.__version__)
        told.wait()
    finally:
        serve.shutdown()
        ray.shutdown()


if __name__ == "__main__":
    main()
