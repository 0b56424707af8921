"""Which codec carries a tensor."""

from __future__ import annotations

import math

import pytest

from isthmus.errors import InvalidInput
from partitioner.codec_choice import (
    DEFAULT_CODECS,
    CodecEffort,
    CodecSize,
    quickest_codec,
    quotes_for,
    sizes_allowed,
)
from partitioner.graph import Dimension, TensorInfo
from partitioner.measurements import CodecRate

TENSOR = TensorInfo("t", "float32", (Dimension(1, 0), Dimension(0, 250_000)), None, (), False)
IDS = TensorInfo("t", "int64", (Dimension(1, 0), Dimension(0, 10)), None, (), False)
SLOW = {"zstd": CodecRate(1e-7, 0, 1e-7, 0), "int8": CodecRate(1e-9, 0, 1e-9, 0)}


def _quickest(bandwidth_bps: float, *, lossless: bool, tensor: TensorInfo = TENSOR) -> str:
    quotes = quotes_for(tensor, sizes_allowed(DEFAULT_CODECS, lossless=lossless), (SLOW, SLOW), bandwidth_bps)
    return quickest_codec(quotes, tensor.name).size.codec


def test_a_slow_link_pays_for_compression() -> None:
    assert (_quickest(1e6, lossless=True), _quickest(1e9, lossless=True)) == ("zstd", "raw")


def test_lossy_codecs_are_taken_only_when_allowed() -> None:
    assert _quickest(1e6, lossless=False) == "int8"


def test_int8_does_not_take_integers() -> None:
    assert _quickest(1e3, lossless=False, tensor=IDS) != "int8"


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_int8_is_a_byte_an_element_and_its_scales_whatever_the_dtype(dtype: str) -> None:
    shape = (Dimension(1, 0), Dimension(0, 64), Dimension(0, 8), Dimension(0, 8))
    quotes = quotes_for(TensorInfo("t", dtype, shape, None, (), False), DEFAULT_CODECS, (SLOW, SLOW), 1e6, batch=2)
    (int8,) = (quote for quote in quotes if quote.size.codec == "int8")
    assert (int8.wire_bytes, int8.item_bytes) == (2 + 2 * 64 * (64 + 8), 2 + 64 * (64 + 8))


def test_a_codec_without_measured_rates_is_not_offered() -> None:
    quotes = quotes_for(TENSOR, DEFAULT_CODECS, ({}, SLOW), 1e6)
    assert [quote.size.codec for quote in quotes] == ["raw"]


def test_picture_codecs_take_only_pictures() -> None:
    rates = {"png": CodecRate(0, 0, 0, 0)}
    offered = [
        [quote.size.codec for quote in quotes_for(TENSOR, DEFAULT_CODECS, (rates, rates), 1e6, picture=picture)]
        for picture in (False, True)
    ]
    assert offered == [["raw"], ["raw", "png"]]


def test_a_picture_takes_the_smallest_lossless_codec_that_was_measured_on_a_slow_link() -> None:
    rates = dict.fromkeys(("png", "webp"), CodecRate(0, 0, 0, 0))
    quotes = quotes_for(TENSOR, sizes_allowed(DEFAULT_CODECS, lossless=True), (rates, rates), 1e6, picture=True)
    assert quickest_codec(quotes, "t").size.codec == "webp"


def test_a_quote_is_the_sum_of_its_stages() -> None:
    rate = {"half": CodecRate(1e-6, 1.0, 2e-6, 2.0)}
    (quote,) = quotes_for(TENSOR, [CodecSize("half", 0.5, True, "test", fixed_bytes=8)], (rate, rate), 8e6)
    assert quote.wire_bytes == 500_008
    assert quote.total_s == pytest.approx(2.0 + 0.500008 + 4.0)


def test_a_quote_counts_what_coding_the_tensor_takes_over_a_sample() -> None:
    rate = {"half": CodecRate(1e-6, 1.0, 2e-6, 2.0)}
    size = CodecSize("half", 0.5, True, "test", effort=CodecEffort(encode=3.0, decode=0.5))
    (quote,) = quotes_for(TENSOR, [size], (rate, rate), 8e6)
    assert (quote.encode_s, quote.decode_s) == pytest.approx((6.0, 2.0))


@pytest.mark.parametrize("factor", [0.0, -1.0, math.nan, math.inf])
def test_an_effort_that_is_none_is_refused(factor: float) -> None:
    with pytest.raises(InvalidInput, match="effort to decode"):
        CodecEffort(decode=factor)


def test_no_codec_at_all_is_an_error_that_names_the_tensor() -> None:
    with pytest.raises(InvalidInput, match="'t'"):
        quickest_codec((), "t")


def test_what_was_measured_on_a_tensor_stands_before_what_holds_for_any() -> None:
    rates = {"int8": CodecRate(0, 0, 0, 0)}
    sizes = (CodecSize("int8", 0.25, False, "assumed"), CodecSize("int8", 0.2, False, "measured", tensor="t"))
    (quote,) = quotes_for(TENSOR, sizes, (rates, rates), 1e6)
    assert quote.size.provenance == "measured"


def test_a_codec_of_another_tensor_is_not_offered() -> None:
    rates = {"transform": CodecRate(0, 0, 0, 0)}
    sizes = [CodecSize("transform", 0.1, False, "measured", tensor="other", parameters={"table": "x"})]
    assert quotes_for(TENSOR, sizes, (rates, rates), 1e6) == ()
