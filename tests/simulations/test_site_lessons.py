"""Which answered requests of a simulated edge teach its chooser, and what they took besides their stages."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nodes.chooser import StageTimes
from nodes.lesson_pace import LEAST_BETWEEN_LESSONS_S
from partitioner.plan_table import PlanEntry
from scheduler.decision_record import Observed
from scheduler.plan_chooser import PlanChooser
from simulations.edge_facts import EdgeFacts
from simulations.site_lessons import SiteLessons
from simulations.site_request import Arrival, Crossing
from tests.simulations.test_site import EDGE, SPLIT, TABLE


class Edge:
    """Keeps what was taught."""

    def __init__(self) -> None:
        self.heard: list[object] = []
        facts = EdgeFacts({"": TABLE}, overhead_s=0.004)
        self.lessons = SiteLessons(PlanChooser(journal=self.heard.append), facts)

    @property
    def taught(self) -> list[StageTimes]:
        return [one.what for one in self.heard if isinstance(one, Observed) and isinstance(one.what, StageTimes)]

    def learn(self, crossing: Crossing, now_s: float, *, alone: bool = True, resumed: bool = False) -> None:
        self.lessons.learn(crossing, now_s, alone=alone, resumed=resumed)


def crossing_of(entry: PlanEntry = SPLIT) -> Crossing:
    """It waited 3 ms before its prefix of 100 ms; at the replica 7 ms besides its 20, of which 5 were predicted; and
    1 ms to be decoded."""
    crossing = Crossing(1, Arrival(5.0, 0), entry, 0.1, 0.02, 0.2, 10_000, 4000)
    crossing.attempt, crossing.ready_s, crossing.sent_s = 1, 5.103, 5.103
    crossing.there_s, crossing.arrived_s = 5.19, 5.2  # what the replica does not count is the link's
    crossing.done_s, crossing.answered_s, crossing.cloud_queue_s = 5.227, 5.3, 0.005
    return crossing


def test_what_a_request_took_besides_its_stages_less_what_was_predicted_of_it_is_taught() -> None:
    edge = Edge()
    edge.learn(crossing_of(), 5.301)
    (taught,) = edge.taught
    assert (taught.edge_s, taught.cloud_s, taught.uplink_bytes) == (0.1, 0.02, 10_000)
    assert taught.besides_s == pytest.approx(0.003 + (0.007 - 0.005) + 0.001)


def test_the_waits_of_one_that_was_not_alone_were_others_work() -> None:
    edge = Edge()
    edge.learn(crossing_of(), 5.301, alone=False)
    assert [one.besides_s for one in edge.taught] == [None]


def test_one_that_stayed_teaches_its_own_stage() -> None:
    edge = Edge()
    edge.learn(replace(crossing_of(EDGE), attempt=0), 5.103)
    (taught,) = edge.taught
    assert (taught.edge_s, taught.cloud_s, taught.uplink_bytes) == (0.1, None, None)
    assert taught.besides_s == pytest.approx(0.003)


@pytest.mark.parametrize(("attempt", "resumed"), [(2, False), (1, True)])
def test_one_that_went_on_elsewhere_teaches_nothing(attempt: int, resumed: bool) -> None:
    edge = Edge()
    edge.learn(replace(crossing_of(), attempt=attempt), 5.301, resumed=resumed)
    assert edge.taught == []


def test_of_a_plan_one_in_a_while_teaches() -> None:
    edge = Edge()
    for now_s in (6.0, 6.0 + 0.9 * LEAST_BETWEEN_LESSONS_S, 6.0 + 1.1 * LEAST_BETWEEN_LESSONS_S):
        edge.learn(crossing_of(), now_s)
    edge.learn(crossing_of(EDGE), 6.0)
    assert [one.entry for one in edge.taught] == [SPLIT, SPLIT, EDGE]
