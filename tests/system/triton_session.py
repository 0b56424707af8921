"""What an unmodified tritonclient does and sees, as JSON: `python triton_session.py SCENE HOST:PORT PHOTO`.

Runs in an environment of its own, without Isthmus.
"""

from __future__ import annotations

import asyncio
import json
import queue
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio

MODEL = "efficientnet-lite0"
Scene = Callable[[Any, str], object]


def picture(photo: str) -> Any:
    given = triton.InferInput("image", [1], "BYTES")
    given.set_data_from_numpy(np.array([Path(photo).read_bytes()], dtype=object))
    return given


def zeros(items: int, size: int = 224) -> Any:
    given = triton.InferInput("image", [items, 3, size, size], "FP32")
    given.set_data_from_numpy(np.zeros((items, 3, size, size), np.float32))
    return given


def best(result: Any) -> int:
    return int(result.as_numpy("logits")[0].argmax())


def unary(client: Any, photo: str) -> object:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL)
    result = client.infer(MODEL, [picture(photo)], request_id="mine")
    both = client.infer(MODEL, [zeros(2)])
    return {
        "class": best(result),
        "id": result.get_response().id,
        "batch": list(both.as_numpy("logits").shape),
        "inputs": client.get_model_metadata(MODEL, as_json=True)["inputs"],
    }


def callbacks(client: Any, photo: str) -> object:
    """async_infer: a callback a request."""
    done: queue.Queue[tuple[Any, Any]] = queue.Queue()
    for _ in range(3):
        client.async_infer(MODEL, [picture(photo)], lambda result, error: done.put((result, error)))
    answers = [done.get(timeout=60) for _ in range(3)]
    return [best(result) if error is None else str(error) for result, error in answers]


def coroutines(client: Any, photo: str) -> object:
    """tritonclient.grpc.aio: unary calls, and a stream."""

    async def run() -> list[int]:
        other = triton_aio.InferenceServerClient(sys.argv[2])

        async def requests() -> Any:
            for number in range(3):
                yield {"model_name": MODEL, "inputs": [picture(photo)], "request_id": str(number)}

        classes = [best(await other.infer(MODEL, [picture(photo)]))]
        async for result, error in other.stream_infer(requests()):
            classes.append(best(result) if error is None else -1)
        await other.close()
        return classes

    return asyncio.run(run())


def stream(client: Any, photo: str) -> object:
    """Six requests on one stream, two of them wrong."""
    done: queue.Queue[tuple[Any, Any]] = queue.Queue()
    client.start_stream(lambda result, error: done.put((result, error)))
    for number in range(4):
        client.async_stream_infer(MODEL, [picture(photo)], request_id=f"good-{number}")
    client.async_stream_infer(MODEL, [zeros(1, size=7)], request_id="shape")
    client.async_stream_infer("nobody", [zeros(1)], request_id="name")
    answers = [done.get(timeout=60) for _ in range(6)]
    client.stop_stream()
    return {
        "classes": {result.get_response().id: best(result) for result, error in answers if error is None},
        "errors": sorted(str(error) for result, error in answers if error is not None),
    }


def abandoned(client: Any, photo: str) -> object:
    """A stream that its client gives up, and a request after it."""
    done: queue.Queue[tuple[Any, Any]] = queue.Queue()
    client.start_stream(lambda result, error: done.put((result, error)))
    for number in range(8):
        client.async_stream_infer(MODEL, [picture(photo)], request_id=str(number))
    client.stop_stream(cancel_requests=True)
    return best(client.infer(MODEL, [picture(photo)]))


def about(client: Any, photo: str) -> object:
    """Configuration, extensions, statistics before and after one request of two items and one error."""
    before = client.get_inference_statistics(MODEL, as_json=True)["model_stats"][0]
    client.infer(MODEL, [zeros(2)])
    failed = refusal(lambda: client.infer(MODEL, [zeros(1, size=7)]))
    return {
        "config": client.get_model_config(MODEL, as_json=True)["config"],
        "extensions": client.get_server_metadata(as_json=True)["extensions"],
        "before": before,
        "failed": failed,
        "after": client.get_inference_statistics(MODEL, as_json=True)["model_stats"][0],
    }


def repository(client: Any, photo: str) -> object:
    index = client.get_model_repository_index(as_json=True)["models"]
    client.unload_model(MODEL)
    gone = {
        "ready": client.is_model_ready(MODEL),
        "index": client.get_model_repository_index(as_json=True)["models"],
        "infer": refusal(lambda: client.infer(MODEL, [picture(photo)])),
    }
    client.load_model(MODEL)
    return {
        "index": index,
        "gone": gone,
        "again": best(client.infer(MODEL, [picture(photo)])),
        "cloud": split_again(client, photo),
        "config": refusal(lambda: client.load_model(MODEL, config="{}")),
        "stranger": refusal(lambda: client.load_model("/tmp/model")),
        "memory": refusal(lambda: client.register_system_shared_memory("region", "/region", 64)),
        "trace": refusal(client.get_trace_settings),
        "log": refusal(client.get_log_settings),
    }


def split_again(client: Any, photo: str) -> list[object]:
    """A request that is split, asked again until the reloaded model has its plans with the cloud."""
    until_s = time.monotonic() + 90
    while True:
        try:
            result = client.infer(MODEL, [picture(photo)], parameters={"isthmus_policy": "fixed:split"})
        except triton.InferenceServerException:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.2)
        else:
            return [best(result), result.get_response().parameters["isthmus_finished_by"].string_param]


def compression(client: Any, photo: str) -> object:
    asked = {"accept-encoding": "gzip"}
    return [
        best(client.infer(MODEL, [picture(photo)], compression_algorithm=algorithm, headers=asked))
        for algorithm in ("gzip", "deflate")
    ]


def classes(client: Any, photo: str) -> object:
    wanted = triton.InferRequestedOutput("logits", class_count=2)
    result = client.infer(MODEL, [picture(photo)], outputs=[wanted])
    return [element.decode() for element in result.as_numpy("logits")[0]]


def refusal(call: Callable[[], object]) -> list[str]:
    """The status and message of a call that must not succeed."""
    try:
        call()
    except triton.InferenceServerException as error:
        return [str(error.status()), str(error.message())]
    return ["OK", ""]


SCENES: dict[str, Scene] = {
    scene.__name__: scene
    for scene in (unary, callbacks, coroutines, stream, abandoned, about, repository, compression, classes)
}

if __name__ == "__main__":
    client = triton.InferenceServerClient(sys.argv[2])
    print(json.dumps(SCENES[sys.argv[1]](client, sys.argv[3])))
    client.close()
