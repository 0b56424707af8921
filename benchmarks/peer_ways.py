"""The ways to have a photo classified that `peers` compares: each takes a file's path and says what an answer took."""

from __future__ import annotations

import asyncio
import http.client
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import grpc
import numpy as np

from benchmarks.peer_process import PeerProcess
from isthmus.client import AsyncClient
from isthmus.oip import open_inference_pb2 as oip
from isthmus.oip import open_inference_pb2_grpc
from nodes.compute_pool import ComputePool
from nodes.engines.slowdown import run_slowed
from nodes.preprocessing import ImageBatch, preprocess
from nodes.transport.channel_options import any_length
from nodes.transport.oip_messages import join_bytes_elements
from partitioner.spec import ImagePreprocessing

__all__ = ["Answer", "AxonmeshWay", "FileWay", "IsthmusWay", "LitServeWay", "OipPeer", "TensorWay", "Way"]

TIMEOUT_S = 30.0
LOGITS_BYTES = 4 * 1000
MODEL, INPUT, OUTPUT = "efficientnet-lite0", "image", "logits"
_BOUNDARY = "isthmus-peers"


@dataclass(frozen=True, slots=True)
class Answer:
    """seconds: from the path to the class. payload_bytes: both ways between edge and cloud, without frames and headers
    of the transport. best: the class. plan, plan_id: what Isthmus ran."""

    seconds: float
    payload_bytes: int
    best: int
    plan: str = ""
    plan_id: str = ""


class Way(Protocol):
    """One of the compared."""

    async def ask(self, photo: Path) -> Answer:
        """Have the photo in this file classified."""


class IsthmusWay:
    """A client before an edge's gateway. plan_id: forced, "" to let the edge's policy choose."""

    def __init__(self, client: AsyncClient, plan_id: str = "") -> None:
        self._client, self._plan_id = client, plan_id

    async def ask(self, photo: Path) -> Answer:
        """See Way."""
        started_s = time.perf_counter()
        result = await self._client.infer(MODEL, {INPUT: photo}, TIMEOUT_S, plan_id=self._plan_id or None)
        best, said = int(result.outputs[OUTPUT].argmax()), result.parameters
        seconds = time.perf_counter() - started_s
        return Answer(
            seconds,
            int(said["isthmus_wire_bytes"]),
            best,
            str(said["isthmus_reason"]).partition(":")[0],
            result.plan_id,
        )


class OipPeer:
    """A channel to a server of the Open Inference Protocol."""

    def __init__(self, target: str, options: Sequence[tuple[str, int]]) -> None:
        """options: of the channel."""
        self._channel = grpc.aio.insecure_channel(target, options=any_length(tuple(options)))
        self._stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(self._channel)

    async def best(self, datatype: str, shape: Sequence[int], contents: bytes) -> int:
        """The class of one picture."""
        request = oip.ModelInferRequest(model_name=MODEL, raw_input_contents=(contents,))
        request.inputs.add(name=INPUT, datatype=datatype, shape=shape)
        response = await self._stub.ModelInfer(request, timeout=TIMEOUT_S)
        return int(np.frombuffer(response.raw_output_contents[0], np.float32).argmax())

    async def close(self) -> None:
        """Let the channel go."""
        await self._channel.close()


class FileWay:
    """Cloud-only with the file as it is."""

    def __init__(self, peer: OipPeer) -> None:
        self._peer = peer

    async def ask(self, photo: Path) -> Answer:
        """See Way."""
        started_s = time.perf_counter()
        file = _file(photo)
        best = await self._peer.best("BYTES", (1,), join_bytes_elements((file,)))
        return Answer(time.perf_counter() - started_s, len(file) + LOGITS_BYTES, best)


class TensorWay:
    """Cloud-only with the float32 tensor, which the edge makes, slowed as Isthmus's edge is."""

    def __init__(self, peer: OipPeer, how: ImagePreprocessing, pool: ComputePool, slowdown: float) -> None:
        self._peer, self._how, self._pool, self._slowdown = peer, how, pool, slowdown

    async def ask(self, photo: Path) -> Answer:
        """See Way."""
        started_s = time.perf_counter()
        tensor = await self._pool.run(run_slowed, self._slowdown, preprocess, ImageBatch((_file(photo),)), self._how)
        contents = tensor.numpy().tobytes()
        best = await self._peer.best("FP32", tuple(tensor.shape), contents)
        return Answer(time.perf_counter() - started_s, len(contents) + LOGITS_BYTES, best)


def _file(photo: Path) -> bytes:
    """At once: it lies in the page cache, and Isthmus's client reads it so too."""
    return photo.read_bytes()


class LitServeWay:
    """Cloud-only with the file as it is, posted as a form over one HTTP/1.1 connection that stays open."""

    def __init__(self, host: str, port: int) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)

    async def ask(self, photo: Path) -> Answer:
        """See Way."""
        return await asyncio.to_thread(self._post, photo)

    def _post(self, photo: Path) -> Answer:
        started_s = time.perf_counter()
        body = _form(_file(photo))
        kind = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
        self._connection.request("POST", "/predict", body, kind)
        response = self._connection.getresponse()
        answer = response.read()
        if response.status != http.HTTPStatus.OK:
            raise RuntimeError(f"LitServe answers {response.status}: {answer[:200]!r}")
        best = int(np.frombuffer(answer, np.float32).argmax())
        return Answer(time.perf_counter() - started_s, len(body) + len(answer), best)


def _form(file: bytes) -> bytes:
    head = 'Content-Disposition: form-data; name="photo"; filename="photo"\r\nContent-Type: application/octet-stream'
    return f"--{_BOUNDARY}\r\n{head}\r\n\r\n".encode() + file + f"\r\n--{_BOUNDARY}--\r\n".encode()


class AxonmeshWay:
    """Its own edge, in a process of its own, which times itself: the pipe to it is no part of the answer."""

    def __init__(self, edge: PeerProcess, way: str) -> None:
        self._edge, self._way = edge, way

    async def ask(self, photo: Path) -> Answer:
        """See Way."""
        told = await asyncio.to_thread(self._edge.ask, {"way": self._way, "photo": str(photo)})
        return Answer(told["seconds"], told["payload_bytes"], told["best"])
