"""What a link accepts."""

from __future__ import annotations

import math

import pytest

from isthmus.errors import InvalidQuantity
from partitioner.link import Link


def test_text_and_numbers_mean_the_same() -> None:
    assert Link.of("20mbps", "30ms") == Link(20e6, 20e6, 0.03) == Link.of(20e6, 0.03)


def test_one_way_can_differ() -> None:
    assert Link.of("20mbps", "1ms", uplink="5mbps") == Link(5e6, 20e6, 0.001)


@pytest.mark.parametrize("bandwidth", [math.nan, math.inf, 0, -1, "nan", "fast", "20mb"])
def test_a_bandwidth_that_is_none_is_refused(bandwidth: str | float) -> None:
    with pytest.raises(InvalidQuantity, match=r"link\.bandwidth"):
        Link.of(bandwidth, "30ms")


@pytest.mark.parametrize("rtt", [math.nan, math.inf, -0.1, "soon"])
def test_a_round_trip_that_is_none_is_refused(rtt: str | float) -> None:
    with pytest.raises(InvalidQuantity, match=r"link\.rtt"):
        Link.of("20mbps", rtt)


def test_the_constructor_refuses_a_nan_too() -> None:
    with pytest.raises(InvalidQuantity, match=r"link\.downlink"):
        Link(1e6, math.nan, 0.0)


@pytest.mark.parametrize(
    ("bandwidth", "rtt", "field"),
    [
        ("0.5bps", "1ms", r"link\.bandwidth: is no bandwidth of a link"),
        ("1e200bps", "1ms", r"link\.bandwidth: is no bandwidth of a link"),
        ("1mbps", "1e308s", r"link\.rtt: is longer than any"),
    ],
)
def test_what_no_link_can_be_is_refused(bandwidth: str, rtt: str, field: str) -> None:
    with pytest.raises(InvalidQuantity, match=field):
        Link.of(bandwidth, rtt)


def test_a_direction_without_bandwidth_is_refused() -> None:
    with pytest.raises(InvalidQuantity, match="missing"):
        Link.of(uplink="1mbps")


def test_transfer_time_is_bits_over_bandwidth() -> None:
    link = Link(8e6, 16e6, 0.0)
    assert (link.uplink_s(1e6), link.downlink_s(1e6)) == (1.0, 0.5)


def test_it_prints_both_ways_where_they_differ() -> None:
    assert str(Link(5e6, 20e6, 0.04)) == "5 Mbit/s up, 20 Mbit/s down, RTT 40 ms"
