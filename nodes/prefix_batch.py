"""The prefixes of several requests as one run: preprocessed each by itself, computed together, encoded each by itself.

The members share model, cut, engine and shapes; their codecs may differ. A member whose files are no images fails
alone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch

from nodes.batch_times import BatchTimes
from nodes.batching import BatchGroup
from nodes.codecs.layout import stride_order
from nodes.engines.slowdown import run_slowed
from nodes.halves import EdgeHalf, EdgeOutcome, Offer
from nodes.inputs import ModelInputs
from nodes.joined_run import BatchAxis, Member, MemberRun, but_for_batch, run_joined
from nodes.preprocessing import ImageBatch

__all__ = ["PrefixWork", "edge_suffix_group", "prefix_group", "run_prefixes"]


class PrefixWork(NamedTuple):
    """One request's inputs for one plan's half. times: t(B) of the prefix alone, without codecs and preprocessing.

    offer: takes encoded tensors as they are made, on the worker; only of a prefix that runs alone, as those of several
    requests are made all at once.
    """

    half: EdgeHalf
    inputs: ModelInputs
    times: BatchTimes
    offer: Offer | None = None


@dataclass(frozen=True, slots=True)
class _Prepared:
    values: dict[str, torch.Tensor | ImageBatch]
    member: Member
    took_s: float


def prefix_group(half: EdgeHalf, inputs: ModelInputs) -> BatchGroup:
    """What a request must share with another to run beside it."""
    axes = () if half.axes is None else half.axes.inputs
    values = zip(inputs.values.values(), axes, strict=False)
    tensors = tuple(_named(value, axis) for value, axis in values)
    return BatchGroup(half.model_digest, half.cut, half.engine, tensors)


def edge_suffix_group(half: EdgeHalf, batch: int) -> BatchGroup:
    """Of the suffixes of such requests that the edge computes: one by one, each in the same time."""
    return BatchGroup(half.model_digest, half.cut, half.engine, ("suffix", str(batch)))


def run_prefixes(works: Sequence[PrefixWork]) -> list[EdgeOutcome | Exception]:
    """One outcome or error a request, in order. A request's time is its own: the others' is its wait. Raises where the
    run of several does: see `run_joined`."""
    if len(works) == 1:
        return [_alone(works[0])]
    return run_slowed(works[0].half.slowdown, _together, works)


def _alone(work: PrefixWork) -> EdgeOutcome | Exception:
    try:
        return work.half.run(work.inputs, work.offer)
    except Exception as error:
        return error


def _together(works: Sequence[PrefixWork]) -> list[EdgeOutcome | Exception]:
    prepared = [_prepare(work) for work in works]
    members = [one.member for one in prepared if isinstance(one, _Prepared)]
    half = works[0].half
    ran = iter(run_joined(half.prefix, half.axes, members, works[0].times))
    return [
        one if isinstance(one, Exception) else _finish(work.half, one, next(ran))
        for work, one in zip(works, prepared, strict=True)
    ]


def _prepare(work: PrefixWork) -> _Prepared | Exception:
    started_s, values = time.perf_counter(), dict(work.inputs.values)
    try:
        tensors = work.half.tensors(values)
    except Exception as error:
        return error
    return _Prepared(values, Member(tensors, work.inputs.batch), time.perf_counter() - started_s)


def _finish(half: EdgeHalf, prepared: _Prepared, ran: MemberRun) -> EdgeOutcome | Exception:
    if isinstance(ran.result, Exception):
        return ran.result
    started_s = time.perf_counter()
    try:
        outcome = half.outcome(prepared.values, ran.result)
    except Exception as error:
        return error
    own_s = prepared.took_s + ran.seconds + time.perf_counter() - started_s
    return replace(outcome, compute_s=own_s * half.slowdown)


def _named(value: torch.Tensor | ImageBatch, axis: BatchAxis) -> str:
    if isinstance(value, ImageBatch):
        return "files"
    return but_for_batch(str(value.dtype), value.shape, axis, stride_order(value))
