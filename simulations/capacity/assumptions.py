"""What a capacity answer takes for granted, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from simulations.answers.prices import Prices
from simulations.answers.slo import Slo
from simulations.capacity.choice_counts import policies_replaced
from simulations.scenario.capacity import CapacitySection
from simulations.scenario.scenario import Scenario

__all__ = ["assumptions", "notes_of_kinds"]


def assumptions(
    scenario: Scenario, slo: Slo, changes: Sequence[str], notes: Sequence[str], prices: Prices | None
) -> Iterator[str]:
    """changes: see `changes_over_time`. notes: of the runs that were simulated."""
    section = scenario.capacity or CapacitySection()
    yield f"a fleet is good enough where {_enough(slo, section.confidence)}"
    yield (
        "that confidence is of each fleet by itself, not of the whole answer, the cheapest of several that were "
        "judged; intervals are those that looks went by, each at its part of the error"
    )
    yield "the promise is about all requests together: a client, a class or a model may have less"
    replaced = policies_replaced(scenario, section)
    if replaced:
        yield f"capacity.policies decide in place of {', '.join(replaced)}"
    if scenario.sweep:
        yield f"sweep is for isthmus simulate: here {', '.join(scenario.sweep)} stay as the scenario says"
    yield "more replicas never keep the promise worse"
    yield f"more edges never keep it better; edges are counted, each with its clients ({', '.join(_clients(scenario))})"
    yield _same_requests(scenario)
    yield f"requests, links and faults are those of the scenario, which is {_alike(scenario, changes)}"
    yield _queues(changes)
    yield "replicas are there from the start"
    yield "times were measured on single devices; others of a kind differ"
    yield (
        "a message crosses at the link's rate from its first byte: TCP starts slowly after each idle moment, which may "
        "cost a live request some round trips more (two for 100 kB at 20 Mbit/s and 40 ms), and loss costs more yet"
    )
    if any(one.file is not None for one in scenario.clients):
        yield "how long a file is changes what crosses, not how long it takes to decode it"
    yield from notes
    yield _prices(scenario, prices)


def notes_of_kinds(notes: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """What is noted of the runs of each kind of fleet, by the kind's name: each note once, with the names where it is
    not of all kinds."""
    for note in dict.fromkeys(note for said in notes.values() for note in said):
        names = [name for name, said in notes.items() if note in said]
        yield note if len(names) == len(notes) else f"{', '.join(names)}: {note}"


def _enough(slo: Slo, confidence: float) -> str:
    if slo.share == 1.0:
        return f"no simulated request took more than {slo.within_s * 1e3:g} ms: that none ever will is open"
    return (
        f"the share of requests within {slo.within_s * 1e3:g} ms is above {slo.share:g} with a confidence of "
        f"{confidence:g}; where that stays open it does not"
    )


def _clients(scenario: Scenario) -> Iterator[str]:
    for edge in scenario.edges:
        mine = [f"{one.count} {one.name}" for one in scenario.clients if one.edges == edge.name]
        yield f"{edge.name}: {' and '.join(mine) or 'none'}"


def _same_requests(scenario: Scenario) -> str:
    said = "every fleet meets the same requests, of the same sizes, and the same links (common random numbers)"
    loops = [one.name for one in scenario.clients if one.arrivals.kind == "closed-loop"]
    if not loops:
        return said
    return (
        f"{said}, but for the closed loops of {', '.join(loops)}: when they ask, and for what, depends on the answers"
    )


def _alike(scenario: Scenario, changes: Sequence[str]) -> str:
    whole = f"{scenario.duration - scenario.warm_up:g} s after {scenario.warm_up:g} s that do not count"
    if changes:
        return f"not alike over its time ({', '.join(changes)}): each fleet is judged by whole runs of {whole}"
    return f"alike over its time: a fleet is simulated until it is clear, in each run for at most {whole}"


def _queues(changes: Sequence[str]) -> str:
    """Only arrivals are alike over time: what waits starts at nothing."""
    confirmed = "the fleet that was found is confirmed by whole runs with seeds that the search had not used"
    if changes:
        return f"queues are empty at the start; {confirmed}"
    return (
        f"queues are empty at the start, and a load that is hardly too much fills them slowly: {confirmed}; other "
        "kinds, more edges and what-ifs are not confirmed, and may look better than they are over the whole time"
    )


def _prices(scenario: Scenario, prices: Prices | None) -> str:
    if prices is None:
        return "no prices: fleets are compared by their number of replicas"
    source = prices.source or scenario.prices
    return f"prices: {source}; machines are compared, and each kind's traffic with plenty of replicas"
