"""Which codecs two devices cannot plan with."""

from __future__ import annotations

from partitioner.measurements import CodecRate, Provenance
from partitioner.profiles import DeviceProfile
from partitioner.unrated_codecs import without_rates


def device(*rated: str) -> DeviceProfile:
    rates = {name: CodecRate(1e-9, 1e-6, 1e-9, 1e-6) for name in rated}
    made = Provenance("2026-01-01T00:00:00Z", "here", "2.13", 0.1, False, "glibc")
    return DeviceProfile("cpu", "cpu", 1, 1.0, {"float32": 1e9}, 1e9, 1e-6, rates, made)


def test_codecs_without_a_rate_are_named_with_the_side_that_lacks_it() -> None:
    edge, cloud = device("zstd", "png", "webp"), device("zstd", "int8")
    said = without_rates(("raw", "zstd", "png", "avif", "webp", "int8", "file"), edge, cloud)
    assert said == "png, webp (cloud); avif (edge and cloud); int8 (edge)"


def test_nothing_is_said_where_both_sides_have_all_rates() -> None:
    assert without_rates(("raw", "zstd"), device("zstd"), device("zstd")) == ""
