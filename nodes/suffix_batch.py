"""The suffixes of several requests as one run: decoded each by itself, computed together, encoded each by itself.

The members share model, cut and engine; their codecs may differ. A member that does not decode fails alone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from nodes.batch_times import BatchTimes
from nodes.batching import BatchGroup
from nodes.codecs.base import EncodedTensor
from nodes.halves import CloudHalf, CloudOutcome
from nodes.joined_run import Member, MemberRun, but_for_batch, run_joined

__all__ = ["SuffixWork", "run_suffixes", "suffix_group"]


class SuffixWork(NamedTuple):
    """One request's boundary tensors, as they came. times: t(B) of the suffix alone, without codecs."""

    half: CloudHalf
    encoded: tuple[EncodedTensor, ...]
    items: int
    times: BatchTimes


class _Decoded(NamedTuple):
    member: Member
    decode_s: float


def suffix_group(half: CloudHalf, encoded: Sequence[EncodedTensor]) -> BatchGroup:
    """What a request must share with another to run beside it. Headers are not trusted: one that lies stands alone."""
    axes = () if half.axes is None else half.axes.inputs
    tensors = tuple(
        but_for_batch(one.dtype, one.shape, axis, one.stride_order or range(len(one.shape)))
        for one, axis in zip(encoded, axes, strict=False)
    )
    return BatchGroup(half.model_digest, half.cut, half.engine, tensors)


def run_suffixes(works: Sequence[SuffixWork]) -> list[CloudOutcome | Exception]:
    """One outcome or error a request, in order. A request's times are its own: the others' are its wait. Raises where
    the run of several does: see `run_joined`."""
    decoded = [_decode(work) for work in works]
    ready = [(work, one) for work, one in zip(works, decoded, strict=True) if isinstance(one, _Decoded)]
    if not ready:
        return [one for one in decoded if isinstance(one, Exception)]
    half, times = ready[0][0].half, ready[0][0].times
    ran = iter(run_joined(half.suffix, half.axes, [one.member for _, one in ready], times))
    return [
        one if isinstance(one, Exception) else _encode(work, one, next(ran))
        for work, one in zip(works, decoded, strict=True)
    ]


def _decode(work: SuffixWork) -> _Decoded | Exception:
    started_s = time.perf_counter()
    try:
        tensors = work.half.decode(work.encoded, work.items)
    except Exception as error:
        return error
    return _Decoded(Member(tensors, work.items), time.perf_counter() - started_s)


def _encode(work: SuffixWork, decoded: _Decoded, ran: MemberRun) -> CloudOutcome | Exception:
    if isinstance(ran.result, Exception):
        return ran.result
    started_s = time.perf_counter()
    try:
        encoded = work.half.encode(ran.result)
    except Exception as error:
        return error
    return CloudOutcome(encoded, decoded.decode_s, ran.seconds, time.perf_counter() - started_s)
