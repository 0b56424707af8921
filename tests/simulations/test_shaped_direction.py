"""The pacing arithmetic, without clocks and sockets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.shaped_direction import Delivery, DirectionShape, Flow, ShapedDirection

# (seconds since the last push, flow, bytes)
Push = tuple[float, int, int]
PUSHES = st.lists(st.tuples(st.floats(0, 0.1), st.integers(0, 2), st.integers(1, 20_000)), min_size=1, max_size=20)
SHAPES = st.builds(DirectionShape, st.floats(1e5, 2e8), st.floats(0, 0.2), st.floats(0, 0.05))


def drain(direction: ShapedDirection, start_s: float) -> list[Delivery]:
    """Everything that comes out, asked for exactly when the direction says so."""
    now_s, out = start_s, list[Delivery]()
    while (event_s := direction.next_event_s) is not None:
        now_s = max(now_s, event_s)
        out.extend(direction.advance(now_s))
    return out


def run(direction: ShapedDirection, pushes: list[Push]) -> tuple[list[Delivery], dict[Flow, bytes], float]:
    """Deliveries, what each flow sent, and when the last push was."""
    flows = [direction.open_flow() for _ in range(3)]
    sent = dict.fromkeys(flows, b"")
    now_s, out = 0.0, list[Delivery]()
    for number, (wait_s, which, size) in enumerate(pushes):
        now_s += wait_s
        out.extend(direction.advance(now_s))
        data = bytes([number]) * size
        direction.push(flows[which], data, now_s)
        sent[flows[which]] += data
    return out + drain(direction, now_s), sent, now_s


def size_of(delivery: Delivery) -> int:
    return sum(map(len, delivery.pieces))


@given(SHAPES, PUSHES)
def test_every_flow_gets_its_bytes_unchanged_and_in_order(shape: DirectionShape, pushes: list[Push]) -> None:
    out, sent, _ = run(ShapedDirection(shape), pushes)
    for flow, data in sent.items():
        assert b"".join(piece for delivery in out if delivery.flow is flow for piece in delivery.pieces) == data


@given(SHAPES, PUSHES)
def test_due_times_never_go_back(shape: DirectionShape, pushes: list[Push]) -> None:
    out, _, _ = run(ShapedDirection(shape), pushes)
    due = [delivery.due_s for delivery in out]
    assert due == sorted(due)


@given(st.floats(1e5, 2e8), st.floats(0, 0.2), PUSHES)
def test_no_interval_carries_more_than_the_rate(rate_bps: float, delay_s: float, pushes: list[Push]) -> None:
    out, _, _ = run(ShapedDirection(DirectionShape(rate_bps, delay_s)), pushes)
    for first in range(len(out)):
        carried = 0
        for delivery in out[first + 1 :]:
            carried += size_of(delivery)
            assert 8 * carried <= rate_bps * (delivery.due_s - out[first].due_s) * (1 + 1e-9) + 1e-3


@given(st.floats(1e5, 2e8), st.floats(0, 0.2), st.integers(1, 3_000_000))
def test_a_message_takes_its_bytes_over_the_rate_and_the_delay(rate_bps: float, delay_s: float, size: int) -> None:
    direction = ShapedDirection(DirectionShape(rate_bps, delay_s))
    direction.push(direction.open_flow(), bytes(size), 5.0)
    assert drain(direction, 5.0)[-1].due_s == pytest.approx(5.0 + 8 * size / rate_bps + delay_s)


@given(SHAPES, PUSHES)
def test_a_line_with_work_is_never_idle(shape: DirectionShape, pushes: list[Push]) -> None:
    out, sent, last_push_s = run(ShapedDirection(shape), pushes)
    total_s = 8 * sum(map(len, sent.values())) / shape.rate_bps
    assert out[-1].due_s <= last_push_s + total_s + shape.delay_s + shape.jitter_s + 1e-9


@given(st.floats(1e6, 2e8), st.integers(0, 20))
def test_a_late_caller_does_not_slow_the_line(rate_bps: float, late_ms: int) -> None:
    direction = ShapedDirection(DirectionShape(rate_bps, 0.01))
    direction.push(direction.open_flow(), bytes(100_000), 0.0)
    out, now_s = list[Delivery](), 0.0
    while (event_s := direction.next_event_s) is not None:
        now_s = max(now_s, event_s) + late_ms / 1000
        out.extend(direction.advance(now_s))
    assert out[-1].due_s == pytest.approx(800_000 / rate_bps + 0.01)


@given(st.floats(1e6, 2e8), st.integers(2, 5))
def test_backlogged_flows_share_the_line_to_within_two_quanta(rate_bps: float, count: int) -> None:
    direction = ShapedDirection(DirectionShape(rate_bps, 0.0))
    got = dict.fromkeys([direction.open_flow() for _ in range(count)], 0)
    for flow in got:
        direction.push(flow, bytes(1_000_000), 0.0)
    for delivery in direction.advance(0.4 * 8_000_000 / rate_bps):
        got[delivery.flow] += size_of(delivery)
    assert max(got.values()) - min(got.values()) <= 2 * max(256, rate_bps / 8 * 0.002)


def test_a_small_message_does_not_wait_for_a_big_one_of_another_flow() -> None:
    direction = ShapedDirection(DirectionShape(20e6, 0.0))
    big, small = direction.open_flow(), direction.open_flow()
    direction.push(big, bytes(3_000_000), 0.0)
    direction.push(small, bytes(1000), 0.1)
    due_s = next(delivery.due_s for delivery in drain(direction, 0.1) if delivery.flow is small)
    assert due_s < 0.105


@given(st.floats(1e6, 2e8), st.floats(0.1, 10))
def test_a_step_in_rate_holds_for_all_but_the_quantum_on_the_line(before_bps: float, ratio: float) -> None:
    after_bps = before_bps * ratio
    direction = ShapedDirection(DirectionShape(before_bps, 0.0))
    direction.push(direction.open_flow(), bytes(int(before_bps / 8)), 0.0)
    until_step = sum(size_of(delivery) for delivery in direction.advance(0.5))
    direction.set_shape(DirectionShape(after_bps, 0.0), 0.5)
    rest = int(before_bps / 8) - until_step
    ends_s = drain(direction, 0.5)[-1].due_s
    assert ends_s == pytest.approx(0.5 + 8 * rest / after_bps, abs=0.003 * (1 + 1 / ratio))


def test_a_shorter_delay_does_not_let_bytes_overtake() -> None:
    direction = ShapedDirection(DirectionShape(1e9, 0.2))
    flow = direction.open_flow()
    direction.push(flow, b"first", 0.0)
    direction.set_shape(DirectionShape(1e9, 0.0), 0.01)
    direction.push(flow, b"second", 0.01)
    assert [bytes(delivery.pieces[0]) for delivery in drain(direction, 0.01)] == [b"first", b"second"]


@given(st.floats(0, 0.3), st.floats(0.01, 5))
def test_a_stall_moves_everything_later_by_its_length(at_s: float, seconds: float) -> None:
    direction = ShapedDirection(DirectionShape(1e6, 0.1))
    direction.push(direction.open_flow(), bytes(50_000), 0.0)
    before = list(direction.advance(at_s))
    direction.stall(seconds, at_s)
    assert not list(direction.advance(at_s + seconds - 0.001))
    assert all(delivery.due_s <= at_s for delivery in before)
    assert drain(direction, at_s)[-1].due_s == pytest.approx(0.4 + 0.1 + seconds)


def test_stalls_that_overlap_do_not_add_up() -> None:
    direction = ShapedDirection(DirectionShape(1e6, 0.0))
    direction.stall(2.0, 0.0)
    direction.stall(2.0, 1.0)
    direction.push(direction.open_flow(), bytes(125), 1.5)
    assert drain(direction, 1.5)[-1].due_s == pytest.approx(3.001)


def test_the_end_of_a_flow_comes_after_its_bytes_and_the_delay() -> None:
    direction = ShapedDirection(DirectionShape(1e6, 0.1))
    flow = direction.open_flow()
    direction.push(flow, bytes(1250), 0.0)
    direction.finish(flow, 0.0)
    out = drain(direction, 0.0)
    assert [delivery.ends for delivery in out] == [False] * (len(out) - 1) + [True]
    assert out[-1].due_s == pytest.approx(0.11)


def test_the_end_of_an_empty_flow_travels_too() -> None:
    direction = ShapedDirection(DirectionShape(1e6, 0.1))
    direction.finish(direction.open_flow(), 1.0)
    assert [(delivery.due_s, delivery.ends) for delivery in drain(direction, 1.0)] == [(1.1, True)]


def test_a_held_flow_uses_no_line_time() -> None:
    direction = ShapedDirection(DirectionShape(1e6, 0.0))
    held, other = direction.open_flow(), direction.open_flow()
    direction.hold(held, True, 0.0)
    for flow in (held, other):
        direction.push(flow, bytes(12_500), 0.0)
    out = drain(direction, 0.0)
    assert {delivery.flow for delivery in out} == {other}
    assert out[-1].due_s == pytest.approx(0.1)


def test_a_flow_goes_on_when_it_is_no_longer_held() -> None:
    direction = ShapedDirection(DirectionShape(1e6, 0.0))
    flow = direction.open_flow()
    direction.hold(flow, True, 0.0)
    direction.push(flow, bytes(1250), 0.0)
    direction.hold(flow, False, 7.0)
    assert drain(direction, 7.0)[-1].due_s == pytest.approx(7.01)


def test_a_dropped_flow_delivers_nothing() -> None:
    direction = ShapedDirection(DirectionShape(1e6, 0.1))
    flow = direction.open_flow()
    direction.push(flow, bytes(5000), 0.0)
    direction.drop(flow)
    direction.push(flow, bytes(5000), 0.01)
    assert drain(direction, 0.0) == []


@given(st.integers(0, 1000))
def test_jitter_stays_inside_its_bounds(seed: int) -> None:
    direction = ShapedDirection(DirectionShape(1e9, 0.05, 0.02), seed)
    direction.push(direction.open_flow(), b"x", 0.0)
    assert 0.03 <= drain(direction, 0.0)[0].due_s <= 0.0701


def test_the_same_seed_gives_the_same_jitter() -> None:
    def once() -> list[float]:
        return [delivery.due_s for delivery in run(ShapedDirection(shape, 3), [(0.01, 0, 500)] * 20)[0]]

    shape = DirectionShape(1e6, 0.05, 0.02)
    assert once() == once()
