"""The quickest plan: least predicted time from now to the answer; the surest of those that cannot be told apart."""

from __future__ import annotations

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

    Edge wait + prefix + bytes over bandwidth + round trip + cloud wait + suffix + way back: the least of it. Of plans
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
        steady = steadiest(found, usable)
        surest = steady.surest
        best = surest[0] if len(surest) == 1 else draw_least(surest, found.total_s, rng)
        chosen, kept = kept_before(found, usable, found.total_s, best, self._switch_cost_s)
        if steady.quickest in surest:
            return found.choice(chosen, after=kept)
        return found.choice(chosen, after=kept or partial(_why_not_quicker, found, steady, chosen))


def _why_not_quicker(found: Forecast, steady: Steady, chosen: int) -> str:
    """Names the quickest plan, which was passed over for a surer one, and both spreads."""
    best = steady.quickest
    sure, unsure = (format_duration(steady.rival(number).spread_s) for number in (chosen, best))
    rival = f"{plan_name(found.entries[best].plan)} {format_duration(found.total_s[best])}"
    return f"; equal to {rival} within the spreads, and surer (± {sure} against ± {unsure})"
