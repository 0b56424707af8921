"""Whose turn it is, and who has to go."""

from __future__ import annotations

import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from scheduler.admission.fair_queue import FairQueue, Waiting

CLIENTS = ("a", "b", "c")


def waiting(
    number: int, client: str = "a", priority: int = 0, deadline_s: float = math.inf, cost_s: float = 1.0
) -> Waiting:
    return Waiting(number, client, priority, deadline_s, cost_s)


requests = st.lists(
    st.tuples(
        st.sampled_from(CLIENTS), st.integers(0, 2), st.sampled_from([5.0, 9.0, math.inf]), st.floats(0.1, 3.0)
    ),
    min_size=1, max_size=30,
)  # fmt: skip


def filled(made: list[tuple[str, int, float, float]]) -> tuple[FairQueue, dict[int, Waiting]]:
    queue = FairQueue()
    known = {number: Waiting(number, *one) for number, one in enumerate(made)}
    for one in known.values():
        queue.add(one)
    return queue, known


@given(requests)
def test_each_goes_once_by_priority_and_a_clients_own_by_deadline(made: list[tuple[str, int, float, float]]) -> None:
    queue, known = filled(made)
    order = [known[queue.pop().number] for _ in made]
    assert sorted(one.number for one in order) == list(range(len(made)))
    assert [one.level for one in order] == sorted(one.level for one in order)
    for client in CLIENTS:
        own = [(one.level, one.deadline_s, one.number) for one in order if one.client == client]
        assert own == sorted(own)


@given(st.lists(st.floats(0.1, 3.0), min_size=40, max_size=40), st.data())
def test_while_clients_wait_their_shares_differ_by_at_most_the_costs_of_two_requests(
    costs: list[float], data: st.DataObject
) -> None:
    queue, number = FairQueue(), 0
    given_s = {"a": 0.0, "b": 0.0}
    backlog = Counter[str]()
    costs_of = dict[int, tuple[str, float]]()
    for cost_s in costs:  # both always have some that wait; how many more is anybody's choice
        for client in ("a", "b"):
            for _ in range(max(1 - backlog[client], data.draw(st.integers(0, 3)))):
                number += 1
                costs_of[number] = client, cost_s
                queue.add(waiting(number, client, cost_s=cost_s))
                backlog[client] += 1
        client, cost_s = costs_of[queue.pop().number]
        given_s[client] += cost_s
        backlog[client] -= 1
        assert abs(given_s["a"] - given_s["b"]) <= 2 * max(costs) + 1e-9


@given(st.integers(1, 50), st.integers(1, 50))
def test_nobody_starves_however_many_another_one_sends(before: int, after: int) -> None:
    queue = FairQueue()
    for number in range(before):
        queue.add(waiting(number, "greedy"))
    queue.add(waiting(1000, "modest"))
    for number in range(after):
        queue.add(waiting(2000 + number, "greedy"))
    assert 1000 in (queue.pop().number, queue.pop().number)


def test_what_is_taken_back_is_never_charged_for() -> None:
    queue = FairQueue()
    for number in range(10):
        queue.add(waiting(number, "a"))
    for number in range(9):
        queue.remove(number)
    queue.add(waiting(20, "b"))
    queue.add(waiting(21, "b"))
    assert [queue.pop().number for _ in range(3)] == [9, 20, 21]


@given(requests)
def test_who_has_to_go_is_of_the_last_priority_and_of_whoever_waits_with_most(
    made: list[tuple[str, int, float, float]],
) -> None:
    queue, known = filled(made)
    gone = known[queue.least_valuable(0.0, 0.5)]
    level = [one for one in known.values() if one.level == max(other.level for other in known.values())]
    held = {client: sum(one.cost_s for one in level if one.client == client) for client in CLIENTS}
    assert gone in level
    assert held[gone.client] >= max(held.values()) - 1e-6


def test_of_a_clients_requests_the_one_that_cannot_be_in_time_goes_first() -> None:
    queue, _ = filled([("a", 0, 9.0, 1.0), ("a", 0, 1.2, 1.0), ("a", 0, math.inf, 1.0)])
    assert queue.least_valuable(0.0, 0.5) == 1


def test_of_equals_the_newest_goes() -> None:
    queue, _ = filled([("a", 0, math.inf, 1.0)] * 4)
    assert queue.least_valuable(0.0, 0.5) == 3


@given(requests, st.sampled_from(CLIENTS), st.integers(0, 2), st.sampled_from([4.0, 5.0, 8.0, math.inf]))
def test_says_how_many_go_before_one_that_comes(
    made: list[tuple[str, int, float, float]], client: str, priority: int, deadline_s: float
) -> None:
    queue, _ = filled([(one, level, due_s, 1.0) for one, level, due_s, _ in made])
    comes = waiting(1000, client, priority, deadline_s)
    said = queue.ahead(comes)
    queue.add(comes)
    place = next(place for place in range(len(made) + 1) if queue.pop() == comes)
    assert place <= said <= place + len(CLIENTS)


def test_of_a_clients_own_only_those_that_are_due_sooner_go_before() -> None:
    queue, _ = filled([("a", 0, math.inf, 1.0)] * 9 + [("a", 0, 5.0, 1.0)] * 2 + [("b", 0, math.inf, 1.0)] * 9)
    assert [queue.ahead(waiting(1000, "a", deadline_s=due_s)) for due_s in (4.0, 6.0)] == [1, 2 + 3]
