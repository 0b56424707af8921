"""The ways to have a photo classified that `peers` compares: each takes a file's path and says what an answer took."""

from __future__ import annotations

import asyncio
import http.client
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from benchmarks.peer_process import PeerProcess
from isthmus.client import AsyncClient
from nodes.compute_pool import ComputePool
from nodes.engines.slowdown import run_slowed
from nodes.preprocessing import ImageBatch, preprocess
from nodes.transport.oip_client import ClientInput, OipClient
from partitioner.spec import ImagePreprocessing

__all__ = ["Answer", "AxonmeshWay", "FileWay", "IsthmusWay", "LitServeWay", "TensorWay", "Way"]

TIMEOUT_S = 30.0
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


class FileWay:
    """Cloud-only with the file as it is, in an Open Inference Protocol message."""

    def __init__(self, client: OipClient) -> None:
        self._client = client

    async def ask(self, photo: Path) -> Answer:
        """See Way."""
        started_s = time.perf_counter()
        file = _file(photo)
        given = ClientInput(INPUT, None, (file,))
        return await _asked(self._client, given, len(file), started_s)


class TensorWay:
    """Cloud-only with the float32 tensor, which the edge makes, slowed as Isthmus's edge is."""

    def __init__(self, client: OipClient, how: ImagePreprocessing, pool: ComputePool, slowdown: float) -> None:
        self._client, self._how, self._pool, self._slowdown = client, how, pool, slowdown

    async def ask(self, photo: Path) -> Answer:
        """See Way."""
        started_s = time.perf_counter()
        batch = ImageBatch((_file(photo),))
        tensor = (await self._pool.run(run_slowed, self._slowdown, preprocess, batch, self._how)).numpy()
        return await _asked(self._client, ClientInput(INPUT, tensor), tensor.nbytes, started_s)


def _file(photo: Path) -> bytes:
    """At once: it lies in the page cache, and Isthmus's client reads it so too."""
    return photo.read_bytes()


async def _asked(client: OipClient, given: ClientInput, sent_bytes: int, started_s: float) -> Answer:
    logits = (await client.infer(MODEL, [given], {}, TIMEOUT_S)).outputs[OUTPUT]
    best = int(logits.argmax())
    return Answer(time.perf_counter() - started_s, sent_bytes + logits.nbytes, best)


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
