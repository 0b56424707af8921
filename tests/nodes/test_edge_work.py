"""What a chosen plan may ask of the edge, and what it asks where the cloud does not answer."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from nodes.accepted_request import AcceptedRequest
from nodes.admission import Arriving, EdgeWork
from nodes.admission_gate import AdmissionGate, Admitted
from nodes.chooser import Choice, ChoiceRequest
from nodes.edge_work import edge_work
from nodes.gateway import InferRequest
from nodes.inputs import ModelInputs
from partitioner.plan import Prediction
from partitioner.plan_table import PlanTable
from scheduler.admission.control import AdmissionControl
from tests.simulations.test_site import DIGEST, SPLIT

NOTHING: Any = None
TABLE = PlanTable("net", DIGEST, (SPLIT,))
CHOICE = Choice(SPLIT, Prediction.of(0.1, 0.2, 0.3, 0.1, 0.05), "", finish_s=0.3)
"""Its costs say 0.2 s for the rest."""


def asked(spare_s: float | None) -> ChoiceRequest:
    return ChoiceRequest(TABLE, "bytes", 1, spare_s=spare_s)


def test_what_is_promised_goes_by_what_the_edge_takes_of_late() -> None:
    assert edge_work(CHOICE, asked(0.41), 9.0) == EdgeWork(9.0, 0.1, 0.3, promised=True)
    assert not edge_work(CHOICE, asked(0.39), 9.0).promised


@pytest.mark.parametrize("spare_s", [0.39, None], ids=["no time to finish", "nobody asked"])
def test_a_prefix_without_a_promise_is_due_before_the_rest_of_its_way(spare_s: float | None) -> None:
    work = edge_work(CHOICE, asked(spare_s), 9.0)
    assert work.due_s == pytest.approx(9.0 - 0.65)
    assert work.finish_s == 0.0


async def admitted(gate: AdmissionGate, work: EdgeWork) -> Admitted:
    one = await gate.enter(Arriving("a", 0, None, 1.0))
    one.placed(work)
    return one


def accepted(one: Admitted | None, timeout_s: float | None) -> AcceptedRequest:
    request = InferRequest("net", ModelInputs({}, 1), timeout_s)
    return AcceptedRequest(request, CHOICE, NOTHING, NOTHING, False, time.monotonic(), one)


async def test_what_was_not_promised_is_finished_after_all_that_was() -> None:
    gate = AdmissionGate(AdmissionControl(8, 8))
    due_s = time.monotonic() + 0.9
    promised = await admitted(gate, EdgeWork(due_s, 0.0, 0.6, promised=True))
    other = accepted(await admitted(gate, EdgeWork(due_s, 0.1, 0.0)), timeout_s=1.0)
    assert other.finishes_by_s() == math.inf
    promised.leave()
    assert other.finishes_by_s() == other.due_s


async def test_what_was_promised_is_finished_by_its_due_time() -> None:
    gate = AdmissionGate(AdmissionControl(8, 8))
    one = accepted(await admitted(gate, EdgeWork(time.monotonic() + 0.9, 0.0, 0.3, promised=True)), timeout_s=1.0)
    await admitted(gate, EdgeWork(time.monotonic() + 0.9, 0.0, 0.6))
    assert one.finishes_by_s() == one.due_s


def test_without_an_admission_or_a_deadline_it_goes_by_what_there_is() -> None:
    one = accepted(None, 1.0)
    assert one.finishes_by_s() == one.due_s
    assert accepted(None, None).finishes_by_s() is None


def test_the_edge_begins_to_finish_by_what_it_takes_of_late() -> None:
    assert accepted(None, 1.0).finish_s == 0.3
