"""By when the pieces of a live request are due on its edge."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

from nodes.admission import Arriving, EdgeWork
from nodes.admission_gate import AdmissionGate
from nodes.chooser import Choice
from nodes.compute_pool import ComputePool
from nodes.gateway import InferRequest
from nodes.halves import EdgeOutcome
from nodes.inputs import ModelInputs
from nodes.prefix_queue import PrefixQueue
from nodes.request_run import RequestRun
from partitioner.link import Link
from scheduler.admission.control import AdmissionControl
from scheduler.estimators.load import EdgeQueueEstimator
from tests.nodes.sites import edge_site, inputs_of


class Noting(PrefixQueue):
    """Remembers by what due time work was to wait."""

    def __init__(self, pool: ComputePool) -> None:
        super().__init__(pool, EdgeQueueEstimator(), at_once_s=0.0)
        self.dues_s, self.rests_s = list[float | None](), list[float]()

    async def run_prefix(self, *given: Any) -> EdgeOutcome:
        self.dues_s.append(given[4])
        self.rests_s.append(given[5])
        return await super().run_prefix(*given)

    async def run_suffix(self, *given: Any) -> Any:
        self.dues_s.append(given[4])
        return await super().run_suffix(*given)


async def test_both_halves_wait_for_the_edge_by_what_the_admission_says() -> None:
    async with edge_site(clouds=0, finish_s=100.0) as site:
        queue, gate = Noting(site.around.queue.pool), AdmissionGate(AdmissionControl(8, 8))
        around = replace(site.around, queue=queue)
        other, admitted = [await gate.enter(Arriving("a", 0, None, 1.0)) for _ in range(2)]
        due_s = time.monotonic() + 450.0
        other.placed(EdgeWork(due_s, 0.0, 400.0, promised=True))
        admitted.placed(EdgeWork(due_s, 0.1, 0.0))
        request = InferRequest("small", ModelInputs({site.model.graph.inputs[0]: inputs_of(1)}, 1), 500.0)
        choice = Choice(site.ready.entry, site.ready.entry.predict(1, 0, Link(1e8, 1e8, 0.0)), "")
        run = RequestRun(request, choice, site.ready, around, cloud_required=False, admitted=admitted)
        answer = await run.run(None)
        assert site.is_right(answer, 1)
        assert queue.dues_s == [due_s, math.inf]
        predicted = choice.predicted
        assert queue.rests_s == [predicted.total_s - predicted.edge_s]
        assert queue.rests_s[0] > 0.0
