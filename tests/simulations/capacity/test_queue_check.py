"""A simulated wait for replicas beside theory's."""

from __future__ import annotations

from typing import Any

import pytest

from simulations.capacity.plan_answer import QueueCheck
from simulations.capacity.queue_check import queue_check
from simulations.fleet import Fleet
from simulations.scenario.sweep import with_settings
from tests.simulations.capacity.conftest import Make


def check(scenario_of: Make, replicas: int, **settings: Any) -> QueueCheck:
    """Of a run with so many replicas, of which each takes 0.1 s for a request, or for a batch of up to eight."""
    file = scenario_of(cloud={"batching": {"max_batch": 8, "max_delay": "5ms"}})
    changed = [(name.replace("__", "."), value) for name, value in settings.items()]
    file = with_settings(file, [("cloud.replicas", replicas), *changed])
    run = Fleet(file.scenario, file.folder).run()
    poisson = file.scenario.clients[0].arrivals.kind == "poisson"
    found = queue_check(run, replicas, batched=file.scenario.cloud.batching.limits.max_batch > 1, poisson=poisson)
    assert found is not None
    return found


def test_a_wait_at_a_moderate_load_is_as_theory_has_it(scenario_of: Make) -> None:
    found = check(scenario_of, 4, cloud__batching__max_batch=1)
    assert found.theory.load == pytest.approx(0.6, rel=0.1)
    assert found.plausible


def test_theory_says_nothing_of_replicas_that_only_batches_let_bear_their_load(scenario_of: Make) -> None:
    """24 requests a second of 0.1 s each, two replicas: one by one their load would be 1.2."""
    found = check(scenario_of, 2)
    assert found.theory.load == pytest.approx(1.2, rel=0.1)
    assert found.plausible is None


def test_batches_at_a_load_that_they_are_not_needed_for_are_checked(scenario_of: Make) -> None:
    found = check(scenario_of, 4)
    assert found.theory.load < 1.0
    assert found.plausible is not None


def test_of_bursts_theory_says_nothing(scenario_of: Make) -> None:
    """Of as many requests as a Poisson process has, whose wait would be a twentieth of theirs."""
    bursts = {"kind": "bursty", "rate_per_s": 6.0, "burst": 20}
    found = check(scenario_of, 4, cloud__batching__max_batch=1, clients__camera__arrivals=bursts)
    assert found.simulated.value > 2.0 * found.theory.apart_s
    assert (found.plausible, found.poisson) == (None, False)
