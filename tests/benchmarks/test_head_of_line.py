"""The benchmark on head-of-line blocking in short: small requests are answered while a large one crosses."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from benchmarks.head_of_line import Beside, beside_a_flow, difference, p99, words
from benchmarks.stream_site import stream_site
from simulations.link_emulator import LinkShape


async def _short() -> Beside:
    async with stream_site(LinkShape(20e6, 20e6, 0.01)) as site:
        return await beside_a_flow(site, Random(0), 2_500_000, 100, 0.1)


def test_small_requests_are_answered_beside_a_large_one() -> None:
    seen = asyncio.run(_short())
    assert len(seen.small_ms) > 3
    assert min(seen.small_ms) < 1e3 * 2_500_000 * 8 / 20e6  # none of these waited for all of it
    assert 0.3 < seen.carried <= 1.01
    assert "20 Mbit/s" in words(seen)


def test_the_difference_is_that_of_the_99th_percentiles() -> None:
    quick, slow = [float(i) for i in range(101)], [float(i) + 7 for i in range(101)]
    assert p99(quick) == pytest.approx(99.0)
    found = difference(slow, quick, seed=0)
    assert found.value == pytest.approx(7.0)
    assert found.low <= 7.0 <= found.high
