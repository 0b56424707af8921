"""The quickest plan: least predicted time from now to the answer."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from nodes.chooser import Choice, ChoiceRequest
from partitioner.link import Link
from scheduler.policies.prediction import Candidate, candidates, in_time, reachable
from scheduler.policies.reason import reason_line

__all__ = ["NEAR_EQUAL", "LatencyPolicy", "quickest"]

# Plans within 1 % of the best are as good, and below what a prediction can tell apart.
NEAR_EQUAL = 0.01


class LatencyPolicy:
    """Edge wait + prefix + bytes over bandwidth + round trip + cloud wait + suffix + way back: the least of it.

    Among near-equals one is drawn at random, so that a fleet with the same facts does not jump together. While the
    link is unknown, edge-only where the model has it.
    """

    def choose(self, request: ChoiceRequest, link: Link | None, rng: Random) -> Choice:
        """See Policy."""
        everything = candidates(request, link)
        fit = in_time(request, _cautious(link, reachable(request, everything)))
        chosen = quickest(fit, rng)
        return Choice(chosen.entry, chosen.predicted, reason_line(request, link, chosen, everything))


def quickest(among: Sequence[Candidate], rng: Random) -> Candidate:
    """One of those whose total is within NEAR_EQUAL of the least; `rng` is drawn from only when there are several."""
    least_s = min(candidate.total_s for candidate in among)
    near = [candidate for candidate in among if candidate.total_s <= least_s * (1 + NEAR_EQUAL)]
    return near[0] if len(near) == 1 else rng.choice(near)


def _cautious(link: Link | None, among: Sequence[Candidate]) -> Sequence[Candidate]:
    if link is not None:
        return among
    local = [candidate for candidate in among if candidate.entry.plan.kind == "edge-only"]
    return local or among
