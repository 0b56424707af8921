"""The cheapest fleet for a scenario's promise: searched, confirmed, checked against theory, and tried in other worlds.

All fleets meet the same requests, links and draws (common random numbers: every draw comes from a generator of its
own, seeded by the name of what draws): what differs between them is their own doing. Each is judged by itself, and no
interval is made of a difference. It is simulated only until it is clear on which side of the promise it is (`verdict`),
or, where the scenario changes over its time, to the end. What is found that way is confirmed by whole runs with other
seeds: queues that build up are not seen from a beginning. Where they do not confirm it the search goes on with more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from isthmus.errors import InvalidConfiguration
from simulations.answers.prices import read_prices
from simulations.answers.slo import Slo
from simulations.answers.summary import Summary, summary
from simulations.capacity.altered import Change, edge_count, sensitivities, with_edges
from simulations.capacity.assumptions import assumptions, notes_of_kinds
from simulations.capacity.candidate import FleetChoice, choices, fleet_price, prices_by_group
from simulations.capacity.changes_over_time import changes_over_time
from simulations.capacity.cheapest import Cheapest, Fewest, Kind, cheapest
from simulations.capacity.choice_counts import check_choice_counts
from simulations.capacity.fewest import fewest
from simulations.capacity.pilot import Pilot, pilot
from simulations.capacity.plan_answer import CapacityAnswer, Considered, Found, Headroom, Sensitivity, Tried
from simulations.capacity.queue_check import queue_check
from simulations.capacity.verdict import Blame, Verdict, judged, window_count
from simulations.capacity.worst_group import worst_group
from simulations.fleet import Fleet, FleetRun
from simulations.run_record import RunRecord
from simulations.scenario.capacity import CapacitySection
from simulations.scenario.reading import ScenarioFile
from simulations.scenario.scenario import Scenario

__all__ = ["CapacityPlanner"]

Setting = tuple[str, Any]
Progress = Callable[[str], None]

# So many windows are simulated of a fleet with plenty of replicas.
_PILOT_WINDOWS = 3
# Headroom is found to a twenty-fifth of the edges, up to four times as many.
_HEADROOM_STEPS, _MOST_TIMES = 25, 4


@dataclass(frozen=True, slots=True)
class _Whole:
    """What whole runs say of a fleet. first: of them, at the time when it was judged; None where they refute it, as
    nobody asks for more of it."""

    verdict: Verdict
    first: FleetRun | None


@dataclass(frozen=True, slots=True)
class _Told:
    choice: FleetChoice
    run: RunRecord
    summary: Summary


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
        if (
            self._prices is not None
            and not self._prices.edge_per_s
            and len({one.edge_type for one in self._choices}) > 1
        ):
            remedy = "types of edges are compared by price, like edges: {small: 0.002/h, large: 0.006/h}"
            raise InvalidConfiguration("prices.edges", "is missing: better edges would be free", remedy=remedy)
        self._pilots: dict[FleetChoice, Pilot] = {}
        self._verdicts: dict[tuple[FleetChoice, int, tuple[Setting, ...]], Verdict] = {}
        self._wholes: dict[tuple[FleetChoice, int], _Whole] = {}
        self._scenarios = {one: one.scenario(file, self._section.replicas.least) for one in self._choices}
        self._changes = tuple(
            dict.fromkeys(said for scenario in self._scenarios.values() for said in changes_over_time(scenario))
        )
        self.requests = 0
        for choice, scenario in self._scenarios.items():
            check_choice_counts(file, self._section, choice, scenario)
            window_count(scenario, self._slo)
            self._price(choice, 1)

    def cheapest(self) -> Cheapest[FleetChoice] | None:
        """The cheapest fleet that keeps the promise, in whole runs, too; None where none does."""
        while (best := self._cheapest_so_far()) is not None:
            if self._whole(best.of, best.replicas).verdict.holds:
                break
        return best

    def answer(self) -> CapacityAnswer:
        """That, and all that is to be said of it. Takes as long as its simulations do."""
        section, scenario, best = self._section, self._file.scenario, self.cheapest()
        told = None if best is None else self._told(best.of, best.replicas)
        found = None if best is None or told is None else self._found(best.of, best.replicas, told)
        return CapacityAnswer(
            scenario=scenario.name,
            slo=self._slo,
            confidence=section.confidence,
            currency="" if self._prices is None else self._prices.currency,
            prices_source="" if self._prices is None else self._prices.source,
            found=found,
            considered=() if best is None else tuple(map(self._considered, best.fewest)),
            tried=tuple(self._tried()),
            assumptions=tuple(assumptions(scenario, self._slo, self._changes, tuple(self._notes(told)), self._prices)),
            requests=self.requests,
        )

    # ---- a fleet -----------------------------------------------------------------------------------------------

    def _price(self, choice: FleetChoice, replicas: int) -> float:
        """By which fleets are compared: machines and traffic, without prices the number of replicas."""
        per_hour, seen = self._per_hour(choice, replicas), self._pilots.get(choice)
        return float(replicas) if per_hour is None else per_hour + (0.0 if seen is None else seen.traffic)

    def _considered(self, one: Fewest[FleetChoice]) -> Considered:
        per_hour = None
        if self._prices is not None and one.replicas is not None:
            per_hour = self._price(one.of, one.replicas)
        return Considered(one.of.name, one.replicas, per_hour, one.cheaper_only)

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
            runs = range(self._file.scenario.replications)
            known = judged(fleet, self._slo, self._section.confidence, runs, early=not self._changes)
            self._verdicts[key] = known
            self.requests += known.requests
        return known

    def _pilot(self, choice: FleetChoice) -> Pilot:
        known = self._pilots.get(choice)
        if known is None:
            self._progress(f"{choice.name}, a pilot")
            fleet = Fleet(self._scenario(choice, self._section.replicas.most), self._file.folder)
            known = self._pilots[choice] = pilot(fleet, self._pilot_s, self._prices)
            self.requests += known.requests
        return known

    @property
    def _pilot_s(self) -> float:
        """That a few windows last; all there is where they do not tell of the others."""
        scenario = self._file.scenario
        counted_s = scenario.duration - scenario.warm_up
        return counted_s if self._changes else counted_s * _PILOT_WINDOWS / window_count(scenario, self._slo)

    def _cheapest_so_far(self) -> Cheapest[FleetChoice] | None:
        """Of those that whole runs have not refuted."""
        replicas, kinds = self._section.replicas, list[Kind[FleetChoice]]()
        for choice in self._choices:
            guess, refuted = self._pilot(choice).replicas, self._refuted(choice)
            holds = partial(self._holds, choice)
            kinds.append(Kind(choice, partial(self._price, choice), holds, max(guess, refuted + 1)))
        return cheapest(kinds, replicas.least, replicas.most)

    def _holds(self, choice: FleetChoice, replicas: int, changed: tuple[Setting, ...] = ()) -> bool:
        return replicas > self._refuted(choice) and self._judged(choice, replicas, changed).holds

    def _refuted(self, choice: FleetChoice) -> int:
        """With so many replicas whole runs do not keep the promise, so that with fewer they do not, either."""
        mine = (n for (one, n), whole in self._wholes.items() if one == choice and not whole.verdict.holds)
        return max(mine, default=0)

    def _whole(self, choice: FleetChoice, replicas: int) -> _Whole:
        """Whole runs with seeds that the search has not used."""
        known = self._wholes.get((choice, replicas))
        if known is None:
            self._progress(f"{choice.name}, {replicas} replicas, in whole runs")
            fleet, used = Fleet(self._scenario(choice, replicas), self._file.folder), self._file.scenario.replications
            begun, unused = list[FleetRun](), range(used, 2 * used)
            verdict = judged(fleet, self._slo, self._section.confidence, unused, early=False, begun=begun.append)
            known = self._wholes[choice, replicas] = _Whole(verdict, begun[0] if verdict.holds else None)
            self.requests += verdict.requests
        return known

    # ---- the one that was found ---------------------------------------------------------------------------------

    def _told(self, choice: FleetChoice, replicas: int) -> _Told:
        """What the first whole run tells of it."""
        first = self._whole(choice, replicas).first
        assert first is not None
        run = first.record()
        prices = prices_by_group(self._prices, self._scenarios[choice], choice)
        return _Told(choice, run, summary([run], self._slo, prices))

    def _found(self, choice: FleetChoice, replicas: int, told: _Told) -> Found:
        scenario = self._scenario(choice, replicas)
        changes = [(one, self._cannot_be(choice, one[1])) for one in sensitivities(scenario)]
        batched = scenario.cloud.batching.limits.max_batch > 1
        poisson = all(one.arrivals.kind == "poisson" for one in scenario.clients)
        return Found(
            choice=choice.name,
            replicas=replicas,
            per_hour=self._per_hour(choice, replicas),
            verdict=_tried(choice, replicas, self._judged(choice, replicas)),
            confirmed=_tried(choice, replicas, self._whole(choice, replicas).verdict, whole=True),
            less=self._less(choice, replicas - 1),
            worst=worst_group(told.summary.groups),
            utilisation=told.summary.utilisation,
            cost=told.summary.cost,
            queue=queue_check(told.run, replicas, batched=batched, poisson=poisson),
            headroom=self._headroom(choice, replicas),
            sensitivities=tuple(self._sensitivity(choice, replicas, one) for one, why in changes if not why),
            left_out=tuple(f"{said}: {why}" for (said, _), why in changes if why),
        )

    def _cannot_be(self, choice: FleetChoice, changed: Sequence[Setting]) -> str:
        """Why no scenario may be like that; "" where it may. What was found must not be lost for what cannot be."""
        try:
            self._scenario(choice, self._section.replicas.least, changed)
        except InvalidConfiguration as error:
            return str(error)
        return ""

    def _less(self, choice: FleetChoice, replicas: int) -> Tried | None:
        """Of whole runs where those decided."""
        whole, known = self._wholes.get((choice, replicas)), self._verdicts.get((choice, replicas, ()))
        if whole is not None:
            return _tried(choice, replicas, whole.verdict, whole=True)
        return None if known is None else _tried(choice, replicas, known)

    def _headroom(self, choice: FleetChoice, replicas: int) -> Headroom:
        scenario = self._scenarios[choice]
        now = edge_count(scenario)
        step = max(1, now // _HEADROOM_STEPS)

        def verdict(steps: int) -> Verdict:
            return self._judged(choice, replicas, with_edges(scenario, now + steps * step))

        def limit(steps: int) -> str:
            return self._cannot_be(choice, with_edges(scenario, now + steps * step))

        most, whole = (_MOST_TIMES - 1) * now // step, bool(self._changes)
        beyond = fewest(lambda steps: bool(limit(steps)), 1, most, most)
        if beyond is not None:
            most = beyond - 1
        breaking = fewest(lambda steps: not verdict(steps).holds, 1, most, 1) if most else None
        if breaking is None:
            why = "" if beyond is None else limit(beyond)
            return Headroom(now, now + most * step, None, "above", Blame("", 0.0), whole, why)
        found = verdict(breaking)
        return Headroom(now, now + (breaking - 1) * step, now + breaking * step, found.side, found.blame, whole)

    def _sensitivity(self, choice: FleetChoice, replicas: int, change: Change) -> Sensitivity:
        said, changed = change
        verdict = self._judged(choice, replicas, changed)
        least, most = self._section.replicas.least, self._section.replicas.most
        guess = replicas if verdict.holds else replicas + max(1, replicas // 3)
        needed = fewest(lambda n: self._holds(choice, n, changed), least, most, guess)
        return Sensitivity(said, verdict.side, verdict.share, verdict.blame, needed, whole=bool(self._changes))

    # ---- what was simulated ------------------------------------------------------------------------------------

    def _tried(self) -> Iterator[Tried]:
        for (choice, replicas, changed), verdict in self._verdicts.items():
            if not changed:
                yield _tried(choice, replicas, verdict)
        for (choice, replicas), whole in self._wholes.items():
            yield _tried(choice, replicas, whole.verdict, whole=True)

    def _notes(self, told: _Told | None) -> Iterator[str]:
        yield from notes_of_kinds({one.name: seen.notes for one, seen in self._pilots.items()})
        if told is not None:
            known = self._pilots[told.choice].notes
            yield from (f"the fleet that was found: {note}" for note in told.summary.notes if note not in known)


def _tried(choice: FleetChoice, replicas: int, verdict: Verdict, *, whole: bool = False) -> Tried:
    return Tried(choice.name, replicas, verdict.side, verdict.share, verdict.blame, verdict.requests, whole)
