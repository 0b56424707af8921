"""The whole model behind LitServe: an encoded picture as a form's file in, the logits' bytes out.

python -m benchmarks.peer_programs.litserve_server ARTIFACT

LitServe reads annotations as classes, so they must not be postponed here.
"""

import sys
import threading
import time
import urllib.error
import urllib.request

import litserve
from fastapi import Request, Response

from benchmarks.peer_programs.ready import end_with_the_benchmark, free_port, say_ready
from benchmarks.peer_programs.whole_model import WholeModel

_KEEP_ALIVE_S = 600  # uvicorn closes an idle connection after 5 s; the next request would then open one first


class WholeModelApi(litserve.LitAPI):  # type: ignore[misc]  # not installed where types are checked
    """The four steps that LitServe asks for. They run in a worker process of its own."""

    def __init__(self, artifact: str) -> None:
        super().__init__()
        self._artifact = artifact

    def setup(self, device: str) -> None:
        self._model = WholeModel(self._artifact)

    def decode_request(self, request: Request) -> bytes:
        file: bytes = request["photo"].file.read()  # it is given the form of the request
        return file

    def predict(self, file: bytes) -> bytes:
        logits: bytes = self._model.of_file(file).numpy().tobytes()
        return logits

    def encode_response(self, logits: bytes) -> Response:
        return Response(logits, media_type="application/octet-stream")


def _tell_when_healthy(port: int) -> None:
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
                break
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    say_ready({"model": ("127.0.0.1", port)}, version=litserve.__version__)


def main() -> None:
    end_with_the_benchmark()
    port = free_port()
    threading.Thread(target=_tell_when_healthy, args=(port,), daemon=True).start()
    server = litserve.LitServer(WholeModelApi(sys.argv[1]), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1",
        port=port,
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
    )


if __name__ == "__main__":
    main()
