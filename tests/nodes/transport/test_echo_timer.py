"""What echoes teach, and when another one is wanted at once."""

from __future__ import annotations

import pytest

from nodes.transport.echo_timer import RECENT_ECHOES, EchoTimer


class Heard:
    """A LinkObserver that keeps what it hears, on a clock of the test's."""

    def __init__(self) -> None:
        self.rtts_s: list[float] = []
        self.transfers: list[tuple[str, int, float]] = []

    def uplink_bps(self) -> float | None:
        raise AssertionError("an echo has no chunks")

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
    echo(timer, clock, 0.03, padding_bytes=32_000)
    assert (timer.untold, heard.transfers) == (True, [])
    timer.sent(0)
    assert timer.untold
    token = timer.sent(32_000)
    assert not timer.untold
    clock.now_s += 0.04
    timer.returned(token)
    assert not timer.untold
    assert len(heard.transfers) == 1


async def test_a_padded_echo_gives_a_bandwidth() -> None:
    heard, clock = Heard(), Clock()
    timer = EchoTimer(heard, clock)
    echo(timer, clock, 0.03)
    echo(timer, clock, 0.05, padding_bytes=32_000)
    ((direction, size_bytes, span_s),) = heard.transfers
    assert (direction, size_bytes) == ("up", 32_000)
    assert span_s == pytest.approx(0.02)
    assert len(heard.rtts_s) == 1


async def test_a_path_that_has_grown_longer_does_not_make_its_link_slow() -> None:
    heard, clock = Heard(), Clock()
    timer = EchoTimer(heard, clock)
    for took_s in (0.03, *[0.2] * RECENT_ECHOES):
        echo(timer, clock, took_s)
    echo(timer, clock, 0.213, padding_bytes=32_000)
    ((_, _, span_s),) = heard.transfers
    assert span_s == pytest.approx(0.013)
    assert timer.one_way_s == pytest.approx(0.1)


async def test_a_padded_echo_before_every_small_one_teaches_nothing() -> None:
    heard, clock = Heard(), Clock()
    echo(EchoTimer(heard, clock), clock, 0.05, padding_bytes=32_000)
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
