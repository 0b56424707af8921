"""A client for a running edge: arrays or files in, a Result out. Any Open Inference Protocol client does the same."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import InvalidRequest
from nodes.tls_files import TlsFiles
from nodes.transport.oip_client import ClientInput, OipClient

__all__ = ["AsyncClient", "Client", "InputFacts", "Result"]

Value = NDArray[np.generic] | bytes | Path


@dataclass(frozen=True, slots=True)
class Result:
    """An answer. outputs by name, BF16 ones widened to float32, exactly; timings: milliseconds by stage, as the edge
    reports them; parameters: all it said."""

    outputs: Mapping[str, NDArray[np.generic]]
    plan_id: str
    timings: Mapping[str, float]
    request_id: str
    parameters: Mapping[str, bool | int | float | str]


@dataclass(frozen=True, slots=True)
class InputFacts:
    """What a model wants of one input, as a tensor. shape: with the batch first; -1 for any length."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class AsyncClient:
    """Asks an edge at `target` ("127.0.0.1:8001"). Use it as an async context manager, or `close` it.

    tls: whom to trust and what to show, None for an edge that listens in clear. The files are read once, here: after a
    renewal make another client.
    """

    def __init__(self, target: str, tls: TlsFiles | None = None) -> None:
        """Raises InvalidConfiguration for TLS files that are not what they should be."""
        self._client = OipClient(target, tls)

    async def infer(
        self,
        model: str,
        inputs: Mapping[str, Value],
        timeout_s: float | None = None,
        policy: str | None = None,
        plan_id: str | None = None,
        request_class: str | None = None,
        priority: int = 0,
        client: str | None = None,
    ) -> Result:
        """One request. An array goes as a tensor; bytes or a Path are one encoded file, for inputs that take files.

        request_class: a word for what kind of request it is; an operator may set a policy for it. priority: 1 first,
        0 last. client: whose request it is, for a fair share; without it that of the machine that asks.

        Raises InvalidRequest, NotFound, DeadlineExceeded, Overloaded, Unavailable.
        """
        wishes: dict[str, str | int | None] = {
            "isthmus_policy": policy,
            "isthmus_plan": plan_id,
            "isthmus_class": request_class,
            "isthmus_client": client,
            "priority": priority,
        }
        parameters = {name: value for name, value in wishes.items() if value}
        answer = await self._client.infer(
            model, [_client_input(name, value) for name, value in inputs.items()], parameters, timeout_s
        )
        said = answer.parameters
        timings = {
            name.removeprefix("isthmus_").removesuffix("_ms"): float(value)
            for name, value in said.items()
            if name.endswith("_ms") and isinstance(value, float | int)
        }
        return Result(
            answer.outputs, str(said.get("isthmus_plan", "")), timings, str(said.get("isthmus_request_id", "")), said
        )

    async def input_names(self, model: str) -> tuple[str, ...]:
        """The names of a model's inputs, in order. Raises NotFound, Unavailable."""
        return tuple(facts.name for facts in await self.describe_inputs(model))

    async def describe_inputs(self, model: str) -> tuple[InputFacts, ...]:
        """What a model wants, in order. Raises NotFound, Unavailable."""
        inputs = (await self._client.describe(model)).inputs
        return tuple(InputFacts(tensor.name, tensor.datatype, tuple(tensor.shape)) for tensor in inputs)

    async def ready(self) -> bool:
        """Whether the edge answers and all its models do."""
        return await self._client.ready()

    async def close(self) -> None:
        """Let the connection go."""
        await self._client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _client_input(name: str, value: Value) -> ClientInput:
    if isinstance(value, Path):
        try:
            return ClientInput(name, None, (value.read_bytes(),))
        except OSError as error:
            raise InvalidRequest(f"input {name}", f"cannot be read: {error.strerror}", value=str(value)) from error
    if isinstance(value, bytes):
        return ClientInput(name, None, (value,))
    return ClientInput(name, np.asarray(value))


class Client:
    """`AsyncClient` for programs without an event loop. A context manager, safe to share between threads."""

    def __init__(self, target: str, tls: TlsFiles | None = None) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="isthmus-client", daemon=True)
        self._thread.start()
        try:
            self._client = self._made(target, tls)
        except BaseException:
            self._end_loop()
            raise

    def _made(self, target: str, tls: TlsFiles | None) -> AsyncClient:
        async def make() -> AsyncClient:  # the channel belongs to the loop that it is made on
            return AsyncClient(target, tls)

        return asyncio.run_coroutine_threadsafe(make(), self._loop).result()

    def infer(
        self,
        model: str,
        inputs: Mapping[str, Value],
        timeout_s: float | None = None,
        policy: str | None = None,
        plan_id: str | None = None,
        request_class: str | None = None,
        priority: int = 0,
        client: str | None = None,
    ) -> Result:
        """See AsyncClient.infer."""
        work = self._client.infer(model, inputs, timeout_s, policy, plan_id, request_class, priority, client)
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def input_names(self, model: str) -> tuple[str, ...]:
        """See AsyncClient.input_names."""
        return asyncio.run_coroutine_threadsafe(self._client.input_names(model), self._loop).result()

    def ready(self) -> bool:
        """See AsyncClient.ready."""
        return asyncio.run_coroutine_threadsafe(self._client.ready(), self._loop).result()

    def close(self) -> None:
        """Let the connection go."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._client.close(), self._loop).result()
        self._end_loop()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
