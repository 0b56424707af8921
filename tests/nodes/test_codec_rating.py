"""Rates of codecs that a replica is asked for."""

from __future__ import annotations

from dataclasses import replace

from nodes.codec_rating import CodecRating
from nodes.compute_pool import ComputePool
from nodes.measure.codec_rates import RATED_CODEC_NAMES
from partitioner.measurements import CodecRate
from partitioner.profiles import DeviceProfile
from tests.nodes.sites import profile

RATE = CodecRate(1.0, 0.0, 1.0, 0.0)


class Kept:
    """A profile that lacks the rates of raw and zstd."""

    def __init__(self) -> None:
        rates = dict.fromkeys(set(RATED_CODEC_NAMES) - {"raw", "zstd"}, RATE)
        self.profile = replace(profile(), codec_rates=rates)

    def read(self) -> DeviceProfile:
        return self.profile

    def write(self, made: DeviceProfile) -> None:
        self.profile = made


async def test_what_a_profile_lacks_is_timed_and_the_rest_left_as_it_is() -> None:
    kept = Kept()
    with ComputePool() as pool:
        await CodecRating(pool, lambda: True).completed(kept.read, kept.write)
    rates = kept.profile.codec_rates
    assert set(rates) == set(RATED_CODEC_NAMES)
    assert {name for name, rate in rates.items() if rate != RATE} == {"raw", "zstd"}


async def test_a_replica_that_is_never_idle_gives_up_in_time() -> None:
    kept = Kept()
    with ComputePool() as pool:
        await CodecRating(pool, lambda: False, most_s=0.05).completed(kept.read, kept.write)
    assert kept.profile == Kept().profile
