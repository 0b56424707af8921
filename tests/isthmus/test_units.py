"""Quantities as people write them, and what is not one."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from isthmus.errors import InvalidQuantity, IsthmusError
from isthmus.units import (
    format_bandwidth,
    format_duration,
    format_flops,
    format_size,
    parse_bandwidth_bps,
    parse_duration_s,
    parse_size_bytes,
)


@pytest.mark.parametrize(
    ("text", "bps"),
    [
        ("20mbps", 20e6),
        ("1.5 Gbps", 1.5e9),
        ("800bit/s", 800.0),
        ("5e6", 5e6),
        (800, 800.0),
        (5e6, 5e6),
        ("3kbit/s", 3e3),
    ],
)
def test_bandwidths_read_in_bits_per_second(text: str | float, bps: float) -> None:
    assert parse_bandwidth_bps(text) == bps


def test_durations_and_sizes_read_in_si() -> None:
    assert parse_duration_s("30ms") == pytest.approx(0.03)
    assert parse_size_bytes("64MB") == 64_000_000
    assert parse_size_bytes("1MiB") == 2**20


@pytest.mark.parametrize("bad", ["", "fast", "-3mbps", "20 parsecs", math.nan, math.inf, -1.0, 0, True, "nan", "1e999"])
def test_what_is_no_bandwidth_is_refused_by_field(bad: str | float) -> None:
    with pytest.raises(InvalidQuantity, match=r"link\.bandwidth"):
        parse_bandwidth_bps(bad, "link.bandwidth")


@pytest.mark.parametrize("bare", ["20", " 999.9 ", "1e2", ".5", "20."])
def test_a_small_bandwidth_without_a_unit_is_refused_naming_units(bare: str) -> None:
    with pytest.raises(InvalidQuantity, match=rf"--bandwidth: has no unit.*{re.escape(bare.strip())}mbps.*bit/s"):
        parse_bandwidth_bps(bare, "--bandwidth")


@given(st.text(max_size=20))
def test_any_text_reads_or_raises_our_error(text: str) -> None:
    try:
        assert parse_duration_s(text) >= 0
    except IsthmusError:
        return


@given(st.floats(1, 1e12))
def test_sizes_print_short(size: float) -> None:
    assert len(format_size(size)) <= 8


@example(999_600.0, format_size)
@example(999.7e6, format_bandwidth)
@example(999.7e3, format_flops)
@example(0.9996e9, format_duration)
@given(st.floats(1, 9.99e11), st.sampled_from([format_size, format_bandwidth, format_flops, format_duration]))
def test_what_rounds_to_a_thousand_is_one_of_the_next_unit(amount: float, said: Callable[[float], str]) -> None:
    scaled = amount * 1e-9 if said is format_duration else amount
    assert "e+" not in said(scaled)


def test_more_digits_are_shown_where_they_are_asked_for() -> None:
    assert (format_size(81_049_000), format_size(81_049_000, 5)) == ("81 MB", "81.049 MB")
