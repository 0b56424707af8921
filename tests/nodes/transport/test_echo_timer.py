"""What echoes teach, and when another one is wanted at once."""

from __future__ import annotations

import math

import pytest

from nodes.protocol.link_probe import LEAST_PROBE_BYTES, MOST_PROBE_BYTES
from nodes.transport.echo_timer import RECENT_ECHOES, EchoTimer


class Heard:
    """A LinkObserver that keeps what it hears, on a clock of the test's."""

    def __init__(self) -> None:
        self.believed_bps: float | None = None
        self.rtts_s: list[float] = []
        self.transfers: list[tuple[str, int, float]] = []

    def uplink_bps(self) -> float | None:
        return self.believed_bps

    def downlink_bps(self) -> float | None:
        raise AssertionError("an echo has no chunks")

    def rtt_measured(self, rtt_s: float) -> None:
        self.rtts_s.append(rtt_s)

    def transfer_measured(self, direction: str, size_bytes: int, span_s: float) -> None:
        self.transfers.append((direction, size_bytes, span_s))

    def exchange_measured(self, up_bytes: int, down_bytes: int, wire_s: float) -> None:
        raise AssertionError("an echo is no exchange")


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def echo(timer: EchoTimer, clock: Clock, took_s: float, padding_bytes: int = 0) -> None:
    token = timer.sent(padding_bytes)
    clock.now_s += took_s
    timer.returned(token)


async def test_a_small_echo_gives_the_round_trip() -> None:
    heard, clock = Heard(), Clock()
    echo(EchoTimer(heard, clock), clock, 0.03)
    assert heard.rtts_s == [pytest.approx(0.03)]


async def test_a_padded_echo_that_is_as_quick_as_a_small_one_tells_nothing_until_the_next_is_on_its_way() -> None:
    heard, clock = Heard(), Clock()
    timer = EchoTimer(heard, clock)
    echo(timer, clock, 0.03)
    assert not timer.untold
    echo(timer, clock, 0.03, padding_bytes=MOST_PROBE_BYTES)
    assert (timer.untold, heard.transfers) == (True, [])
    timer.sent(0)
    assert timer.untold
    token = timer.sent(MOST_PROBE_BYTES)
    assert not timer.untold
    clock.now_s += 0.04
    timer.returned(token)
    assert not timer.untold
    assert len(heard.transfers) == 1


async def test_a_padded_echo_gives_a_bandwidth() -> None:
    heard, clock = Heard(), Clock()
    timer = EchoTimer(heard, clock)
    echo(timer, clock, 0.03)
    echo(timer, clock, 0.05, padding_bytes=MOST_PROBE_BYTES)
    ((direction, size_bytes, span_s),) = heard.transfers
    assert (direction, size_bytes) == ("up", MOST_PROBE_BYTES)
    assert span_s == pytest.approx(0.02)
    assert len(heard.rtts_s) == 1


@pytest.mark.parametrize(
    ("believed_bps", "took_s", "seen_bps"),
    [(20e6, 0.034, None), (0.2e6, 0.034, 2.048e6), (20e6, 0.029, None), (20e6, 0.094, 0.256e6)],
)
async def test_a_short_one_that_scheduling_could_have_delayed_as_much_tells_how_slow_the_link_is_not(
    believed_bps: float, took_s: float, seen_bps: float | None
) -> None:
    heard, clock = Heard(), Clock()
    timer = EchoTimer(heard, clock)
    echo(timer, clock, 0.03)
    heard.believed_bps = believed_bps
    token = timer.sent(LEAST_PROBE_BYTES)
    clock.now_s += took_s
    seen = timer.returned(token)
    assert seen == pytest.approx(believed_bps if seen_bps is None else seen_bps if took_s > 0.09 else math.inf)
    assert [8 * size / span_s for _, size, span_s in heard.transfers] == pytest.approx([seen_bps] if seen_bps else [])


async def test_a_path_that_has_grown_longer_does_not_make_its_link_slow() -> None:
    heard, clock = Heard(), Clock()
    timer = EchoTimer(heard, clock)
    for took_s in (0.03, *[0.2] * RECENT_ECHOES):
        echo(timer, clock, took_s)
    echo(timer, clock, 0.213, padding_bytes=MOST_PROBE_BYTES)
    ((_, _, span_s),) = heard.transfers
    assert span_s == pytest.approx(0.013)
    assert timer.one_way_s == pytest.approx(0.1)


@pytest.mark.parametrize("padding_bytes", [LEAST_PROBE_BYTES, MOST_PROBE_BYTES])
async def test_nor_does_one_that_grew_longer_just_now(padding_bytes: int) -> None:
    """The small echo that went just before tells."""
    heard, clock = Heard(), Clock()
    timer, heard.believed_bps = EchoTimer(heard, clock), 20e6
    for _ in range(RECENT_ECHOES):
        echo(timer, clock, 0.02)
    small, padded = timer.sent(0), timer.sent(padding_bytes)
    clock.now_s += 0.04
    timer.returned(small)
    clock.now_s += 8 * padding_bytes / 20e6
    seen_bps = timer.returned(padded)
    assert seen_bps == pytest.approx(20e6)
    assert all(8 * size / span_s == pytest.approx(20e6) for _, size, span_s in heard.transfers)


async def test_a_standstill_in_which_both_came_back_makes_no_link_fast() -> None:
    heard, clock = Heard(), Clock()
    timer, heard.believed_bps = EchoTimer(heard, clock), 1e6
    for _ in range(RECENT_ECHOES):
        echo(timer, clock, 0.02)
    small, padded = timer.sent(0), timer.sent(MOST_PROBE_BYTES)
    clock.now_s += 0.6  # in which the padding crossed, too
    timer.returned(small)
    clock.now_s += 1e-4
    assert timer.returned(padded) == math.inf
    ((_, size, span_s),) = heard.transfers
    assert 8 * size / span_s < 3e6


async def test_a_padded_echo_before_every_small_one_teaches_nothing() -> None:
    heard, clock = Heard(), Clock()
    echo(EchoTimer(heard, clock), clock, 0.05, padding_bytes=MOST_PROBE_BYTES)
    assert heard.transfers == []


async def test_a_token_that_was_never_sent_is_ignored() -> None:
    heard = Heard()
    EchoTimer(heard, Clock()).returned(99)
    assert not heard.rtts_s


@pytest.mark.parametrize(("second_s", "surprising"), [(0.031, False), (0.1, True), (0.01, True)])
async def test_an_echo_far_from_the_one_before_is_a_surprise(second_s: float, surprising: bool) -> None:
    clock = Clock()
    timer = EchoTimer(Heard(), clock)
    echo(timer, clock, 0.03)
    echo(timer, clock, second_s)
    assert timer.surprised.is_set() is surprising


async def test_one_way_is_half_of_the_least_round_trip() -> None:
    clock = Clock()
    timer = EchoTimer(Heard(), clock)
    assert timer.one_way_s == 0.0
    for took_s in (0.05, 0.03, 0.04):
        echo(timer, clock, took_s)
    assert timer.one_way_s == pytest.approx(0.015)
