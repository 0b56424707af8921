"""Requests of figures on outages over one `ModelStreamInfer`, where an answer that comes twice can be seen: each is
counted by the id that its client gave it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator

import grpc
import numpy as np

from benchmarks.judged_requests import MODEL, Asked, inputs_of, is_of, whole_answer
from isthmus.errors import CloudUnavailable
from isthmus.oip import open_inference_pb2 as oip
from isthmus.oip import open_inference_pb2_grpc
from partitioner.model import Model

__all__ = ["StreamedRequests", "streamed_requests"]

GRACE_S = 10.0
"""Beyond its deadline, until what has no answer at all counts as lost."""
_Stream = grpc.aio.StreamStreamCall[oip.ModelInferRequest, oip.ModelStreamInferResponse]


class StreamedRequests:
    """answers: how many came, errors too, by client's id."""

    def __init__(self, stream: _Stream, model: Model) -> None:
        self._stream, self._model = stream, model
        self._writing = asyncio.Lock()  # one write at a time, as gRPC asks
        self._waiting: dict[str, asyncio.Future[oip.ModelStreamInferResponse]] = {}
        self.answers: Counter[str] = Counter()
        self.asked = 0

    @property
    def duplicated(self) -> int:
        """Answers beyond one a request, and those to nothing that was asked."""
        asked = {str(number) for number in range(self.asked)}
        return sum(count - (name in asked) for name, count in self.answers.items())

    async def read(self) -> None:
        """Until the stream ends, or this is cancelled."""
        async for answer in self._stream:
            name = answer.infer_response.id
            self.answers[name] += 1
            waiting = self._waiting.pop(name, None)
            if waiting is not None:
                waiting.set_result(answer)

    async def ask(self, seed: int, deadline_s: float, batch: int = 1) -> Asked:
        """See `judged_requests.ask`."""
        name, inputs, began_s = str(self.asked), inputs_of(seed, batch), time.monotonic()
        self.asked += 1
        request = oip.ModelInferRequest(model_name=MODEL, id=name, raw_input_contents=[inputs.tobytes()])
        request.inputs.add(name=self._model.interface.inputs[0].name, datatype="FP32", shape=inputs.shape)
        request.parameters["timeout"].int64_param = round(deadline_s * 1e6)
        self._waiting[name] = asyncio.get_running_loop().create_future()
        async with self._writing:
            await self._stream.write(request)
        try:
            answer = await asyncio.wait_for(self._waiting[name], deadline_s + GRACE_S)
        except TimeoutError:
            return Asked(False, time.monotonic(), error="no answer at all")
        ended_s = time.monotonic()
        if answer.error_message:
            return Asked(False, ended_s, error=answer.error_message.partition("] ")[2])
        response = answer.infer_response
        (raw,), shape = response.raw_output_contents, tuple(response.outputs[0].shape)
        right = is_of(np.frombuffer(raw, np.float32).reshape(shape), whole_answer(self._model, inputs))
        said = {key: response.parameters[f"isthmus_{key}"].string_param for key in ("finished_by", "request_id")}
        return Asked(ended_s - began_s <= deadline_s, ended_s, right, "", said["finished_by"], said["request_id"])


@contextlib.asynccontextmanager
async def streamed_requests(address: str, model: Model) -> AsyncIterator[StreamedRequests]:
    """One stream to a gateway. At its end it waits a moment for answers that nobody waits for."""
    async with grpc.aio.insecure_channel(address) as channel:
        stream: _Stream = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel).ModelStreamInfer()
        made = StreamedRequests(stream, model)
        reading = asyncio.create_task(made.read())
        try:
            yield made
            await stream.done_writing()
            await asyncio.wait_for(reading, GRACE_S)
        except grpc.RpcError as error:
            raise CloudUnavailable(f"the stream broke: {error}") from error
        finally:
            reading.cancel()
            stream.cancel()
