"""One run of a segment for several requests: their tensors joined along the batch, the results split again.

A tensor can be joined where exactly one of its dimensions grows with the batch, from nothing. That this also means
that items do not mix is measured before it is relied on (`nodes.measure.batch_times`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from nodes.batch_times import BatchTimes
from nodes.engines.base import Runner
from partitioner.graph import TensorInfo

__all__ = [
    "BatchAxis",
    "JoinAxes",
    "Member",
    "MemberRun",
    "batch_axis",
    "but_for_batch",
    "join_axes",
    "joined_results",
    "run_joined",
]

Tensors = tuple[torch.Tensor, ...]


@dataclass(frozen=True, slots=True)
class BatchAxis:
    """Where a tensor holds its items: `per_item` entries of that dimension each, those of one item together."""

    dimension: int
    per_item: int


@dataclass(frozen=True, slots=True)
class JoinAxes:
    """The batch axis of every tensor that a segment takes and returns, in its order."""

    inputs: tuple[BatchAxis, ...]
    outputs: tuple[BatchAxis, ...]


class Member(NamedTuple):
    """One request's tensors for a segment, and how many items they hold."""

    tensors: Tensors
    items: int


class MemberRun(NamedTuple):
    """What one request got, or why it got nothing; and the part of the time that was its own."""

    result: Tensors | Exception
    seconds: float


def batch_axis(info: TensorInfo) -> BatchAxis | None:
    """The axis of a tensor; None where the batch is in no dimension, in several, or mixed with something else."""
    growing = [(index, d) for index, d in enumerate(info.shape) if d.per_item]
    if len(growing) != 1 or growing[0][1].fixed:
        return None
    return BatchAxis(growing[0][0], growing[0][1].per_item)


def join_axes(tensors: Mapping[str, TensorInfo], inputs: Sequence[str], outputs: Sequence[str]) -> JoinAxes | None:
    """The axes of a segment from `inputs` to `outputs`; None where some tensor cannot be joined."""
    taken, made = ([batch_axis(tensors[name]) for name in names] for names in (inputs, outputs))
    if not taken or None in taken or None in made:
        return None
    return JoinAxes(tuple(a for a in taken if a), tuple(a for a in made if a))


def but_for_batch(dtype: str, shape: Sequence[int], axis: BatchAxis, order: Sequence[int]) -> str:
    """A tensor as requests that run as one must share it: dtype, the other dimensions, the order in memory."""
    sizes = ["*" if index == axis.dimension else str(size) for index, size in enumerate(shape)]
    return f"{dtype}[{','.join(sizes)}]{tuple(order)}"


def joined_results(run: Runner, axes: JoinAxes, members: Sequence[Member]) -> list[Tensors]:
    """What one run of all members gives each of them. Raises what `run` does."""
    columns = zip(*(member.tensors for member in members), strict=True)
    with torch.inference_mode():
        joined = [torch.cat(column, axis.dimension) for column, axis in zip(columns, axes.inputs, strict=True)]
        made = run(*joined)
        parts = [
            torch.split(tensor, [member.items * axis.per_item for member in members], axis.dimension)
            for tensor, axis in zip(made, axes.outputs, strict=True)
        ]
    return list(zip(*parts, strict=True)) if parts else [() for _ in members]


def run_joined(
    run: Runner, axes: JoinAxes | None, members: Sequence[Member], times: BatchTimes
) -> tuple[MemberRun, ...]:
    """Run all members at once. Raises what that raises: it says nothing of which member is at fault, and each may be
    run by itself, if it is still wanted by then. Of one that runs by itself the error is its result.

    A member's own time is the part of the run that its items would take by themselves: t(own) / t(all). The rest is
    the others', which it waited for. One member is run as it is: not a bit changes.
    """
    if len(members) > 1 and axes is not None:
        started_s = time.perf_counter()
        results = joined_results(run, axes, members)
        took_s, whole_s = time.perf_counter() - started_s, times.at(sum(member.items for member in members))
        shares = (min(1.0, times.at(member.items) / whole_s) if whole_s > 0 else 1.0 for member in members)
        return tuple(MemberRun(one, took_s * share) for one, share in zip(results, shares, strict=True))
    return tuple(_alone(run, member) for member in members)


def _alone(run: Runner, member: Member) -> MemberRun:
    started_s = time.perf_counter()
    result: Tensors | Exception
    try:
        result = run(*member.tensors)
    except Exception as error:
        result = error
    return MemberRun(result, time.perf_counter() - started_s)
