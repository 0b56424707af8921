"""What a split is measured against moves as many bytes, and a size holds by its median and its tail."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from benchmarks.figure import Interval, Options, PairedSamples, ratio_figure
from benchmarks.raw_relay import Traffic, raw_relay
from benchmarks.split_overhead import GOAL, Measured

EVEN = Interval(1.0, 0.99, 1.01)


def test_the_relay_answers_with_as_many_bytes_as_the_traffic_says() -> None:
    async def moved(relay: str, traffic: Traffic) -> int:
        async with grpc.aio.insecure_channel(relay) as channel:
            move: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(traffic.method)
            return len(await move(bytes(traffic.request)))

    with raw_relay() as relay:
        assert [asyncio.run(moved(relay, Traffic(10, 70, size))) for size in (3, 40_000)] == [3, 40_000]


@pytest.mark.parametrize(("ours", "tail", "holds"), [(1.4, 1.9, True), (1.4, 2.1, False), (1.6, 1.9, False)])
def test_a_size_holds_where_median_and_tail_do(ours: float, tail: float, holds: bool) -> None:
    options = Options(quick=True, as_json=False, record=False, seed=0)
    middle = ratio_figure("split_overhead", PairedSamples((ours,) * 30, (1.0,) * 30, (1.0,) * 30), GOAL, options)
    assert Measured(middle, Interval(tail, tail, tail), EVEN, 0.01).holds is holds
