"""The requests of figures on outages and capacity: of a small real model, judged by the whole model's own answer."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from isthmus.client import AsyncClient
from isthmus.errors import IsthmusError
from nodes.measure.batch_times import relative_difference
from nodes.replica_set import ReplicaSet
from partitioner.front_end import model_from_module
from partitioner.model import Model

__all__ = ["MODEL", "Asked", "ask", "inputs_of", "made_model", "until_usable"]

MODEL, WIDTH = "outage", 64
# Requests that were joined differ from the whole model by some 1e-7 of the largest value; two requests by much of it.
ROUNDING = 1e-5


def made_model(boundary: int, depth: int) -> Model:
    """`boundary` floats an item after the first layer; so many more of that width, and a last one."""
    torch.manual_seed(0)
    more = (nn.Sequential(nn.Linear(boundary, boundary), nn.ReLU()) for _ in range(depth))
    layers = nn.Sequential(nn.Linear(WIDTH, boundary), nn.ReLU(), *more, nn.Linear(boundary, 10))
    return model_from_module(layers.eval(), (torch.zeros(2, WIDTH),), MODEL)


def inputs_of(seed: int, batch: int = 1) -> NDArray[np.float32]:
    """One request's tensor."""
    return np.random.default_rng(seed).normal(size=(batch, WIDTH)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client got. ended_s: when, on the monotonic clock. error: "" for an answer. request_id: the gateway's."""

    in_time: bool
    ended_s: float
    right: bool = False
    error: str = ""
    finished_by: str = ""
    request_id: str = ""


async def ask(client: AsyncClient, model: Model, seed: int, deadline_s: float, batch: int = 1) -> Asked:
    """One request of its own inputs; right: the whole model's output, but for what batching rounds otherwise."""
    inputs, began_s = inputs_of(seed, batch), time.monotonic()
    try:
        result = await client.infer(MODEL, {model.interface.inputs[0].name: inputs}, timeout_s=deadline_s)
    except IsthmusError as error:
        return Asked(False, time.monotonic(), error=f"{type(error).__name__}: {error}")
    ended_s = time.monotonic()
    with torch.inference_mode():
        whole = model(torch.from_numpy(inputs))[0]
    (answer,) = result.outputs.values()
    right = relative_difference(torch.from_numpy(answer.copy()), whole) <= ROUNDING
    finished_by = str(result.parameters["isthmus_finished_by"])
    return Asked(ended_s - began_s <= deadline_s, ended_s, right, "", finished_by, result.request_id)


async def until_usable(replicas: ReplicaSet, count: int, within_s: float) -> None:
    """Returns once the edge takes at least so many of its replicas for healthy. Raises TimeoutError."""
    began_s = time.monotonic()
    while replicas.usable < count:
        if time.monotonic() - began_s > within_s:
            raise TimeoutError(f"{replicas.usable} of {count} replicas are usable after {within_s:g} s")
        await asyncio.sleep(0.02)
