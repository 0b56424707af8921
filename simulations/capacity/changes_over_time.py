"""Whether one stretch of a scenario's time is like another, so that its beginning tells of all of it."""

from __future__ import annotations

from collections.abc import Iterator

from simulations.scenario.links import LinkSection, TraceRate
from simulations.scenario.scenario import Scenario

__all__ = ["changes_over_time"]

# Their law does not depend on the moment. All others, also those that somebody adds, are simulated to the end.
_ALIKE = frozenset({"poisson", "steady", "bursty", "mmpp", "closed-loop"})


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
            yield from _of_link(link)


def _of_link(link: LinkSection) -> Iterator[str]:
    if link.outages != ():
        yield f"link {link.name} has outages"
    recordings = [one for one in (link.uplink, link.downlink) if isinstance(one, TraceRate)]
    # Edges that begin apart from each other see, all together, the whole recording at any time.
    if recordings and (link.shared or any(one.start != "random" for one in recordings)):
        yield f"link {link.name} plays its recording from one moment on for all edges"
