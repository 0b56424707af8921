"""Measured times as an emulated slower device would have them."""

from __future__ import annotations

from partitioner.profiles import CodecRate, Measurement

__all__ = ["slowed", "slowed_rate"]


def slowed(time: Measurement, slowdown: float) -> Measurement:
    """`time` and its spread, `slowdown` times as long."""
    return Measurement(time.seconds * slowdown, time.spread_s * slowdown, time.repeats)


def slowed_rate(rate: CodecRate, slowdown: float) -> CodecRate:
    """`rate` of a device `slowdown` times slower."""
    return CodecRate(
        rate.encode_s_per_byte * slowdown,
        rate.encode_fixed_s * slowdown,
        rate.decode_s_per_byte * slowdown,
        rate.decode_fixed_s * slowdown,
    )
