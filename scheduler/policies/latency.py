"""The quickest plan for a request and those behind it; the surest of those that cannot be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from random import Random

from isthmus.units import format_duration
from nodes.chooser import Choice, ChoiceRequest
from partitioner.link import Link
from scheduler.policies.forecast import Forecast, forecast
from scheduler.policies.options import SwitchingOptions
from scheduler.policies.reason import plan_name
from scheduler.policies.selection import draw_least, kept_before
from scheduler.policies.steadiness import Steady, steadiest

__all__ = ["LatencyPolicy"]


class LatencyPolicy:
    """The quickest plan for each request; the surest of those that cannot be told from it.

    Edge wait + prefix + bytes over bandwidth + round trip + cloud wait + suffix + way back: the least of it. While the
    edge has a queue, a prefix also costs what it makes the requests behind it wait (Pigou 1920, "The Economics of
    Welfare": who takes what is best for himself alone fills what all have to pass). Of plans
    whose times are equal within their spreads, the surest is taken (see `steadiness`); among near-equals of these one
    is drawn at random, so that a fleet with the same facts does not jump together. While the link is unknown, edge-only
    where the model has it.
    """

    Options = SwitchingOptions
    explores = True

    def __init__(self, options: SwitchingOptions | None = None) -> None:
        self._switch_cost_s = 0.0 if options is None else options.switch_cost

    def choose(self, request: ChoiceRequest, link: Link | None, rng: Random) -> Choice:
        """See Policy."""
        found = forecast(request, link)
        usable = found.usable()
        if link is None:
            return found.choice(draw_least(usable, found.total_s, rng))
        shared_s = found.shared_s
        steady = steadiest(found, usable, shared_s)
        surest = steady.surest
        best = surest[0] if len(surest) == 1 else draw_least(surest, shared_s, rng)
        chosen, kept = kept_before(found, usable, shared_s, best, self._switch_cost_s)
        if kept:
            return found.choice(chosen, after=kept)
        if steady.quickest not in surest:
            return found.choice(chosen, after=partial(_why_not_quicker, found, steady, chosen, shared_s))
        return found.choice(chosen, after=partial(_what_others_wait, found, usable, chosen, shared_s))


def _what_others_wait(found: Forecast, usable: Sequence[int], chosen: int, shared_s: Sequence[float]) -> str:
    """Names the plan that is quicker for this request alone, where there is one, and what it costs those behind it."""
    total_s = found.total_s
    alone = min(usable, key=total_s.__getitem__)
    if total_s[alone] >= total_s[chosen] or shared_s is total_s:
        return ""
    rival = f"{plan_name(found.entries[alone].plan)} {format_duration(total_s[alone])}"
    return f"; {rival} would make others wait for {format_duration(shared_s[alone] - total_s[alone])} in all"


def _why_not_quicker(found: Forecast, steady: Steady, chosen: int, shared_s: Sequence[float]) -> str:
    """Names the quickest plan, which was passed over for a surer one, and both spreads."""
    best = steady.quickest
    sure, unsure = (format_duration(steady.rival(number).spread_s) for number in (chosen, best))
    waits = "" if shared_s is found.total_s else " with what others wait"
    rival = f"{plan_name(found.entries[best].plan)} {format_duration(shared_s[best])}{waits}"
    return f"; equal to {rival} within the spreads, and surer (± {sure} against ± {unsure})"
