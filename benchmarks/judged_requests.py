"""The requests of figures on outages and capacity: of a small real model, judged by the whole model's own answer."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace

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

__all__ = [
    "MODEL",
    "Asked",
    "ask",
    "cloud_required",
    "heavy_model",
    "inputs_of",
    "is_of",
    "made_model",
    "until_usable",
    "whole_answer",
]

MODEL, WIDTH = "outage", 64
# Requests that were joined differ from the whole model by some 1e-7 of the largest value; two requests by much of it.
ROUNDING = 1e-5


def made_model(boundary: int, depth: int, seed: int = 0) -> Model:
    """`boundary` floats an item after the first layer; so many more of that width, and a last one. seed: of its
    weights."""
    torch.manual_seed(seed)
    more = (nn.Sequential(nn.Linear(boundary, boundary), nn.ReLU()) for _ in range(depth))
    layers = nn.Sequential(nn.Linear(WIDTH, boundary), nn.ReLU(), *more, nn.Linear(boundary, 10))
    return model_from_module(layers.eval(), (torch.zeros(2, WIDTH),), MODEL)


def heavy_model(depth: int = 8, channels: int = 96, side: int = 16) -> Model:
    """Some milliseconds of a core an item, nearly all of them arithmetic: `depth` convolutions of that many channels
    on squares of that side. Of the same inputs and outputs as `made_model`."""
    torch.manual_seed(0)
    first = nn.Conv2d(4, channels, 3, padding=1)
    inner = [nn.Conv2d(channels, channels, 3, padding=1) for _ in range(depth)]
    for layer in (first, *inner):  # as large as they came: an answer is to depend on its inputs
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    convolutions = (nn.Sequential(layer, nn.ReLU()) for layer in (first, *inner))
    layers = nn.Sequential(
        nn.Linear(WIDTH, 4 * side * side), nn.Unflatten(1, (4, side, side)), *convolutions, nn.Flatten(),
        nn.Linear(channels * side * side, 10),
    )  # fmt: skip
    return model_from_module(layers.eval(), (torch.zeros(2, WIDTH),), MODEL)


def cloud_required(model: Model) -> Model:
    """The same, whose requests fail where no replica answers, instead of hiding on the edge."""
    return replace(model, interface=replace(model.interface, autonomy="cloud-required"))  # type: ignore[type-var]


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


def whole_answer(model: Model, inputs: NDArray[np.float32]) -> torch.Tensor:
    """What the whole model makes of one request."""
    with torch.inference_mode():
        return model(torch.from_numpy(inputs))[0]


def is_of(answer: NDArray[np.generic], whole: torch.Tensor) -> bool:
    """Whether an answer is the whole model's, but for what batching rounds otherwise."""
    return relative_difference(torch.from_numpy(answer.copy()), whole) <= ROUNDING


async def ask(
    client: AsyncClient, model: Model, seed: int, deadline_s: float, batch: int = 1, whole: torch.Tensor | None = None
) -> Asked:
    """One request of its own inputs. whole: the model's answer, where it is known before; right: that is what came."""
    inputs, began_s = inputs_of(seed, batch), time.monotonic()
    try:
        result = await client.infer(MODEL, {model.interface.inputs[0].name: inputs}, timeout_s=deadline_s)
    except IsthmusError as error:
        return Asked(False, time.monotonic(), error=f"{type(error).__name__}: {error}")
    ended_s = time.monotonic()
    (answer,) = result.outputs.values()
    right = is_of(answer, whole_answer(model, inputs) if whole is None else whole)
    finished_by = str(result.parameters["isthmus_finished_by"])
    return Asked(ended_s - began_s <= deadline_s, ended_s, right, "", finished_by, result.request_id)


async def until_usable(replicas: ReplicaSet, count: int, within_s: float) -> None:
    """Returns once the edge takes at least so many of its replicas for healthy. Raises TimeoutError."""
    began_s = time.monotonic()
    while replicas.usable < count:
        if time.monotonic() - began_s > within_s:
            raise TimeoutError(f"{replicas.usable} of {count} replicas are usable after {within_s:g} s")
        await asyncio.sleep(0.02)
