"""Whether one stretch of a scenario's time is like another, so that its beginning tells of all of it."""

from __future__ import annotations

from collections.abc import Iterator

from simulations.scenario.links import LinkSection, TraceRate
from simulations.scenario.scenario import Scenario

__all__ = ["changes_over_time"]

# Their law does not depend on the moment. All others, also those that somebody adds, are simulated to the end.
_ALIKE = frozenset({"poisson", "steady", "bursty", "mmpp", "closed-loop"})
# So many edges, each at a place of its own in a recording, see about the same share of it that is slow, at any moment:
# one slow minute in ten is 10 % of the edges, give or take 5 % (the root of 0.1 * 0.9 / 30). Of a few edges all may be
# past their tunnel when the first looks are taken.
_MANY_EDGES = 30


def changes_over_time(scenario: Scenario) -> Iterator[str]:
    """In words, what of it makes the beginning unlike what comes later; nothing where all of it is alike.

    Random failures and outages are among it: they are rare, and a minute of simulated time mostly has none.
    """
    for client in scenario.clients:
        if client.arrivals.kind not in _ALIKE:
            yield f"arrivals of {client.name} are {client.arrivals.kind}"
    if scenario.cloud.failures != ():
        yield "replicas fail"
    used = {edge.link for edge in scenario.edges}
    for link in scenario.links:
        if link.name in used:
            yield from _of_link(link, sum(edge.count for edge in scenario.edges if edge.link == link.name))


def _of_link(link: LinkSection, edges: int) -> Iterator[str]:
    if link.outages != ():
        yield f"link {link.name} has outages"
    recordings = [one for one in (link.uplink, link.downlink) if isinstance(one, TraceRate)]
    if recordings and (link.shared or any(one.start != "random" for one in recordings)):
        yield f"link {link.name} plays its recording from one moment on for all edges"
    elif recordings and edges < _MANY_EDGES:
        yield f"link {link.name} plays its recording for {edges} edges, of which each sees another part at first"
