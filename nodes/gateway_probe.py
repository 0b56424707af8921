"""Measures what requests cost besides their stages: asks the node's own gateway as a client does, with real requests.

Nothing less will do. The client's hop is outside all that a node can time by itself, and a gateway that answers at once
costs a third of one whose caches are cold from a model's run (0.5 and 1.6 ms for 1 kB, one core of a 2-core machine).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import torch

from isthmus.errors import IsthmusError
from isthmus.telemetry import get_logger
from nodes.inputs import ModelInputs
from nodes.preprocessing import ImageBatch
from nodes.request_overhead import OverheadSample, RequestOverhead, fit_overhead
from nodes.sample_inputs import sample_inputs
from nodes.transport.oip_client import ClientAnswer, ClientInput, OipClient
from partitioner.model import Model

__all__ = ["measure_overhead"]

TIMEOUT_S = 30.0
MOST_REQUESTS, LEAST_REQUESTS = 7, 3
BUDGET_S = 1.0


async def measure_overhead(address: str, models: Mapping[str, Model]) -> RequestOverhead:
    """The law from edge-only requests to the gateway at `address`, of two sizes for each model it serves by name.

    The node must be idle. A model that does not answer teaches nothing.
    """
    client, samples = OipClient(address), list[OverheadSample]()
    try:
        for name, model in models.items():
            for inputs in _requests(model):
                try:
                    samples += await _ask(client, name, inputs)
                except (IsthmusError, TypeError) as error:  # TypeError: NumPy has no bfloat16
                    get_logger("edge").warning("overhead not measured", model=name, reason=str(error))
    finally:
        await client.close()
    return fit_overhead(samples, datetime.now(UTC).isoformat(timespec="seconds"))


def _requests(model: Model) -> Iterator[ModelInputs]:
    """Tensors, then files where the model takes some, else two items where it takes so many."""
    yield sample_inputs(model, 1)
    files = [spec.name for spec in model.interface.inputs if spec.preprocessing is not None]
    if files or model.interface.max_batch > 1:
        yield sample_inputs(model, 1 if files else 2, files)


async def _ask(client: OipClient, model: str, inputs: ModelInputs) -> list[OverheadSample]:
    """The first request warms up."""
    given = [_client_input(name, value) for name, value in inputs.values.items()]
    samples: list[OverheadSample] = []
    began_s = time.perf_counter()
    while len(samples) <= LEAST_REQUESTS or (
        len(samples) <= MOST_REQUESTS and time.perf_counter() - began_s < BUDGET_S
    ):
        started_s = time.perf_counter()
        answer = await client.infer(model, given, {"isthmus_policy": "edge-only"}, TIMEOUT_S)
        elapsed_s = time.perf_counter() - started_s
        samples.append(OverheadSample(inputs.size_bytes, elapsed_s - _accounted_s(answer)))
    return samples[1:]


def _accounted_s(answer: ClientAnswer) -> float:
    """What the node says that it spent: on an edge-only plan there is no other stage."""
    return 1e-3 * sum(float(answer.parameters[f"isthmus_{stage}_ms"]) for stage in ("edge_queue", "edge"))


def _client_input(name: str, value: torch.Tensor | ImageBatch) -> ClientInput:
    if isinstance(value, ImageBatch):
        return ClientInput(name, None, value.files)
    return ClientInput(name, value.numpy())
