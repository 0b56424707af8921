"""The cheapest fleet for a scenario's promise: searched, checked against theory, and tried in other worlds.

All fleets meet the same requests, links and draws (common random numbers: every draw comes from a generator of its
own, seeded by the name of what draws), so that their difference is known sooner than either. Each is simulated only
until it is clear on which side of the promise it is (`verdict`), or, where the scenario changes over its time, to the
end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from isthmus.errors import InvalidConfiguration
from simulations.answers.prices import Prices, read_prices, traffic
from simulations.answers.slo import Slo
from simulations.answers.summary import summary
from simulations.capacity.altered import Change, edge_count, sensitivities, with_edges
from simulations.capacity.candidate import CLOUD, HOUR_S, FleetChoice, choices, edge_group, fleet_price
from simulations.capacity.changes_over_time import changes_over_time
from simulations.capacity.cheapest import Cheapest, Kind, cheapest
from simulations.capacity.choice_counts import check_choice_counts, policies_replaced
from simulations.capacity.fewest import fewest
from simulations.capacity.plan_answer import CapacityAnswer, Considered, Found, Headroom, Sensitivity, Tried
from simulations.capacity.queue_check import queue_check
from simulations.capacity.verdict import Blame, Verdict, judged, window_count
from simulations.fleet import Fleet
from simulations.scenario.capacity import CapacitySection
from simulations.scenario.reading import ScenarioFile
from simulations.scenario.scenario import Scenario

__all__ = ["CapacityPlanner"]

Setting = tuple[str, Any]
Progress = Callable[[str], None]

# So many windows are simulated of a fleet with plenty of replicas, and of the one that was found, to tell of it.
_PILOT_WINDOWS, _TOLD_WINDOWS = 3, 20
# Headroom is found to a twenty-fifth of the edges, up to four times as many.
_HEADROOM_STEPS, _MOST_TIMES = 25, 4


class CapacityPlanner:
    """Of one scenario; `cheapest` or `answer` once. requests: simulated so far."""

    def __init__(self, file: ScenarioFile, progress: Progress = lambda said: None) -> None:
        """progress: told what is simulated.

        Raises InvalidConfiguration for a scenario without a promise, choices that cannot be or that would change
        nothing, prices that lack.
        """
        scenario = file.scenario
        if scenario.slo is None:
            raise InvalidConfiguration("slo", "is missing", remedy="set it: {within: 300ms, share: 0.99}")
        self._file, self._progress = file, progress
        self._slo = Slo(scenario.slo.within, scenario.slo.share)
        self._section = scenario.capacity or CapacitySection()
        self._choices = choices(file)
        self._prices = None if scenario.prices is None else read_prices(Path(scenario.prices))
        if self._prices is None and len({(one.replica_type, one.edge_type) for one in self._choices}) > 1:
            raise InvalidConfiguration("prices", "is missing", remedy="types are compared by price: name a file")
        self._traffic: dict[FleetChoice, float] = {}  # an hour of it, by kind, as its pilot had it
        self._verdicts: dict[tuple[FleetChoice, int, tuple[Setting, ...]], Verdict] = {}
        self._scenarios = {one: one.scenario(file, self._section.replicas.least) for one in self._choices}
        self._changes = tuple(
            dict.fromkeys(said for scenario in self._scenarios.values() for said in changes_over_time(scenario))
        )
        self.requests = 0
        for choice, scenario in self._scenarios.items():
            check_choice_counts(file, self._section, choice, scenario)
            self._price(choice, 1)

    def cheapest(self) -> Cheapest[FleetChoice] | None:
        """The cheapest fleet that keeps the promise; None where none does."""
        replicas = self._section.replicas
        kinds = [
            Kind(one, partial(self._price, one), lambda n, one=one: self._judged(one, n).holds, self._pilot(one))  # type: ignore[misc]
            for one in self._choices
        ]
        return cheapest(kinds, replicas.least, replicas.most)

    def answer(self) -> CapacityAnswer:
        """That, and all that is to be said of it. Takes as long as its simulations do."""
        section, scenario, best = self._section, self._file.scenario, self.cheapest()
        considered = [] if best is None else best.fewest
        found = None if best is None else self._found(best.of, best.replicas)
        return CapacityAnswer(
            scenario=scenario.name,
            slo=self._slo,
            confidence=section.confidence,
            currency="" if self._prices is None else self._prices.currency,
            prices_source="" if self._prices is None else self._prices.source,
            found=found,
            considered=tuple(self._considered(one, n) for one, n in considered),
            tried=tuple(
                _tried(choice, replicas, verdict)
                for (choice, replicas, changed), verdict in self._verdicts.items()
                if not changed
            ),
            assumptions=self._assumptions(),
            requests=self.requests,
        )

    # ---- a fleet -----------------------------------------------------------------------------------------------

    def _price(self, choice: FleetChoice, replicas: int) -> float:
        """By which fleets are compared: machines and traffic, without prices the number of replicas."""
        per_hour = self._per_hour(choice, replicas)
        return float(replicas) if per_hour is None else per_hour + self._traffic.get(choice, 0.0)

    def _considered(self, choice: FleetChoice, replicas: int | None) -> Considered:
        if self._prices is None or replicas is None:
            return Considered(choice.name, replicas, None)
        return Considered(choice.name, replicas, self._price(choice, replicas))

    def _per_hour(self, choice: FleetChoice, replicas: int) -> float | None:
        """Of its machines."""
        if self._prices is None:
            return None
        return fleet_price(choice, self._scenarios[choice], replicas, self._prices)

    def _scenario(self, choice: FleetChoice, replicas: int, changed: Sequence[Setting] = ()) -> Scenario:
        settings = FleetChoice("", "", "", (*choice.settings, *changed))
        return settings.scenario(self._file, replicas)

    def _judged(self, choice: FleetChoice, replicas: int, changed: tuple[Setting, ...] = ()) -> Verdict:
        key = choice, replicas, tuple((path, str(value)) for path, value in changed)
        known = self._verdicts.get(key)
        if known is None:
            self._progress(f"{choice.name}, {replicas} replicas{', otherwise' if changed else ''}")
            fleet = Fleet(self._scenario(choice, replicas, changed), self._file.folder)
            most_runs = self._file.scenario.replications
            known = judged(fleet, self._slo, self._section.confidence, most_runs, early=not self._changes)
            self._verdicts[key] = known
            self.requests += known.requests
        return known

    def _pilot(self, choice: FleetChoice) -> int:
        """How many replicas it may need: of work that is offered where there are plenty, with as many to spare as its
        root (square-root staffing: Halfin and Whitt, Operations Research 29, 1981). And what its traffic costs there:
        fewer replicas have less, as more stays on the edges, so that a fleet's price still rises with its replicas."""
        self._progress(f"{choice.name}, a pilot")
        scenario = self._scenario(choice, self._section.replicas.most)
        length_s = self._seconds(_PILOT_WINDOWS)
        run = Fleet(scenario, self._file.folder).begin()
        run.advance(scenario.warm_up + length_s)
        seen = run.finish()
        self.requests += len(seen.requests)
        if self._prices is not None:
            self._traffic[choice] = sum(traffic(seen, self._prices).values()) / length_s * HOUR_S
        busy_s = sum(one.busy_s for one in seen.resources if one.kind == "replica")
        offered = busy_s / length_s
        return max(1, math.ceil(offered + math.sqrt(offered)))

    # ---- the one that was found ---------------------------------------------------------------------------------

    def _found(self, choice: FleetChoice, replicas: int) -> Found:
        self._progress(f"{choice.name}, {replicas} replicas, to tell of it")
        until_s = self._file.scenario.warm_up + self._seconds(_TOLD_WINDOWS)
        scenario = self._scenario(choice, replicas, (("duration", until_s),))
        run = Fleet(scenario, self._file.folder).run()
        self.requests += len(run.requests)
        told = summary([run], self._slo, _by_group(self._prices, scenario, choice))
        less = self._verdicts.get((choice, replicas - 1, ()))
        batched = scenario.cloud.batching.limits.max_batch > 1
        return Found(
            choice=choice.name,
            replicas=replicas,
            per_hour=self._per_hour(choice, replicas),
            verdict=_tried(choice, replicas, self._judged(choice, replicas)),
            less=None if less is None else _tried(choice, replicas - 1, less),
            seen=told.all.kept_of_all,
            utilisation=told.utilisation,
            cost=told.cost,
            queue=queue_check(run, replicas, batched=batched),
            headroom=self._headroom(choice, replicas),
            sensitivities=tuple(self._sensitivity(choice, replicas, one) for one in sensitivities(scenario)),
        )

    def _seconds(self, windows: int) -> float:
        """That so many windows last; all there are where they do not tell of the others."""
        counted_s = self._counted_s
        return counted_s if self._changes else counted_s * min(1.0, windows / window_count(counted_s, self._slo))

    @property
    def _counted_s(self) -> float:
        return self._file.scenario.duration - self._file.scenario.warm_up

    def _headroom(self, choice: FleetChoice, replicas: int) -> Headroom:
        scenario = self._scenarios[choice]
        now = edge_count(scenario)
        step = max(1, now // _HEADROOM_STEPS)

        def verdict(steps: int) -> Verdict:
            return self._judged(choice, replicas, with_edges(scenario, now + steps * step))

        most = (_MOST_TIMES - 1) * now // step
        breaking = fewest(lambda steps: not verdict(steps).holds, 1, most, 1)
        if breaking is None:
            return Headroom(now, now + most * step, None, "above", Blame("", 0.0))
        found = verdict(breaking)
        return Headroom(now, now + (breaking - 1) * step, now + breaking * step, found.side, found.blame)

    def _sensitivity(self, choice: FleetChoice, replicas: int, change: Change) -> Sensitivity:
        said, changed = change
        verdict = self._judged(choice, replicas, changed)
        least, most = self._section.replicas.least, self._section.replicas.most
        guess = replicas if verdict.holds else replicas + max(1, replicas // 3)
        needed = fewest(lambda n: self._judged(choice, n, changed).holds, least, most, guess)
        return Sensitivity(said, verdict.side, verdict.share, verdict.blame, needed)

    def _assumptions(self) -> tuple[str, ...]:
        scenario, slo = self._file.scenario, self._slo
        prices = "no prices: fleets are compared by their number of replicas"
        if self._prices is not None:
            source = self._prices.source or scenario.prices
            prices = f"prices: {source}; machines are compared, and each kind's traffic with plenty of replicas"
        enough = (
            f"the share of requests within {slo.within_s * 1e3:g} ms is above {slo.share:g} with a confidence of "
            f"{self._section.confidence:g}; where that stays open it does not"
        )
        if slo.share == 1.0:
            enough = f"no simulated request took more than {slo.within_s * 1e3:g} ms: that none ever will is open"
        whole = f"{self._counted_s:g} s after {scenario.warm_up:g} s that do not count"
        seen = f"alike over its time: a fleet is simulated until it is clear, in each run for at most {whole}"
        if self._changes:
            why = ", ".join(self._changes)
            seen = f"not alike over its time ({why}): each fleet is judged by whole runs of {whole}"
        replaced = policies_replaced(scenario, self._section)
        return (
            f"a fleet is good enough where {enough}",
            *([f"capacity.policies decide in place of {', '.join(replaced)}"] if replaced else []),
            "more replicas never keep the promise worse",
            "every fleet meets the same requests, of the same sizes, and the same links (common random numbers)",
            f"requests, links and faults are those of the scenario, which is {seen}",
            "replicas are there from the start",
            "times are the plans', measured on single devices and drawn with their spread",
            prices,
        )


def _tried(choice: FleetChoice, replicas: int, verdict: Verdict) -> Tried:
    return Tried(choice.name, replicas, verdict.side, verdict.share, verdict.blame, verdict.requests)


def _by_group(prices: Prices | None, scenario: Scenario, choice: FleetChoice) -> Prices | None:
    """For the bill of a run, which knows groups and no types."""
    if prices is None:
        return None
    replica = prices.of_replica(choice.replica_type or CLOUD)
    edges = (
        {one.name: prices.of_edge(edge_group(choice, one.name)) for one in scenario.edges} if prices.edge_per_s else {}
    )
    return Prices(
        prices.currency, {CLOUD: replica}, edges, prices.uplink_per_byte, prices.downlink_per_byte, prices.source
    )
