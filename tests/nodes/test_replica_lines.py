"""Which connections an edge wants of the replicas that there are."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from nodes.fleet import Endpoint, Replica
from nodes.replica_lines import Line, is_for, wanted_lines

BLIND = Endpoint("balancer:1", blind_age_s=60.0)
A, B, C = (Replica(name, BLIND) for name in "abc")


def numbered(*numbers: int) -> list[Line]:
    return [Line("balancer:1", "", number) for number in numbers]


def test_a_replica_with_an_address_of_its_own_or_a_route_has_a_line_of_its_own() -> None:
    route = Endpoint("proxy:1", (("route", "b"),))
    direct, routed = Replica("a", Endpoint("a:1")), Replica("b", route)
    assert wanted_lines((direct, routed), (), {}) == {
        Line("a:1", "a"): direct.endpoint, Line("proxy:1", "b"): route,
    }  # fmt: skip


def test_behind_a_balancer_there_are_as_many_lines_as_replicas_and_old_ones_stay() -> None:
    assert set(wanted_lines((A, B), (), {})) == set(numbered(0, 1))
    assert set(wanted_lines((A, B, C), numbered(4, 1), {})) == set(numbered(4, 1, 0))


def test_the_line_of_one_that_left_goes_before_one_without_a_replica_and_that_before_others() -> None:
    lines = numbered(0, 1, 2)
    held = {lines[0]: "c", lines[2]: "a"}
    assert set(wanted_lines((A, B), lines, held)) == {lines[1], lines[2]}
    assert set(wanted_lines((A,), lines, held)) == {lines[2]}
    assert wanted_lines((), lines, held) == {}


def test_a_line_is_for_its_replica_and_a_blind_one_for_one_that_no_other_has() -> None:
    mine, other, elsewhere = Line("b:1", "", 0), Line("b:1", "", 1), Line("d:1", "", 0)
    assert is_for(Line("a:1", "a"), "a", {})
    assert not is_for(Line("a:1", "a"), "b", {})
    held = {mine: "a", other: "b", elsewhere: "c"}
    assert [is_for(mine, name, held) for name in "abc"] == [True, False, True]


@example({"a", "b"}, {0: "a", 1: "a", 2: "b"})
@given(st.sets(st.sampled_from("abcdef")), st.dictionaries(st.integers(0, 7), st.sampled_from("abcdefgh")))
def test_as_many_lines_as_replicas_each_replica_keeps_one_of_its_lines(names: set[str], has: dict[int, str]) -> None:
    held = {Line("balancer:1", "", number): name for number, name in has.items()}
    wanted = wanted_lines([Replica(name, BLIND) for name in sorted(names)], held, held)
    assert len(wanted) == len(names)
    assert {held[line] for line in wanted if line in held} >= names & set(has.values())
