"""What deserves an operator's attention, in sentences: what is wrong and where to look. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from nodes.drift import STAGES
from nodes.sight.failures import CLIENTS_FAULTS
from nodes.sight.summary import prediction_error
from nodes.sight.view import EdgeView

__all__ = ["Notice", "attention"]

# A share of failed requests from which on it is an alarm, as in the alert rules; but not for one or two of a few.
ALARMING_FAILURES, ALARMING_COUNT = 0.01, 3
NEARLY_FULL = 0.8
# Median prediction error from which on choices are doubtful, and of how many requests at least.
DOUBTFUL_ERROR = 0.3
ENOUGH_REQUESTS = 20
# What to do about a stage that drifted from what was measured of it. Predictions are corrected meanwhile.
_REMEDIES = {
    "edge": "Does something else use this machine, is it hot? It measures again when idle; `isthmus remeasure` orders.",
    "cloud": "See what else uses the replicas' machine. A replica measures at its start: roll a cloud.version out.",
}
_MEASURING = {**_REMEDIES, "edge": "It is being measured again, as soon as no request is here."}
# So long an edge may take to prepare its plans with the replicas.
STARTING_S = 120.0
# So long a registry may take to start anew.
AWAY_S = 30.0


@dataclass(frozen=True, slots=True)
class Notice:
    """One of them. look: what to do about it, or where to see more."""

    level: Literal["alarm", "warning"]
    what: str
    look: str


def attention(view: EdgeView) -> tuple[Notice, ...]:
    """Alarms first."""
    found = (*_serving(view), *_failing(view), *_cloud(view), *_full(view), *_doubtful(view), *_drifted(view))
    return tuple(sorted(found, key=lambda notice: notice.level != "alarm"))


def _serving(view: EdgeView) -> Iterator[Notice]:
    if not view.ready:
        yield Notice("alarm", "This edge takes no new requests: it drains.", "Clients go elsewhere, or wait for it.")
    for model in view.models:
        if model.state != "READY":
            why = f" ({model.reason})" if model.reason else ""
            look = "It was unloaded by a client of this machine, or is being loaded."
            yield Notice("warning", f"Model {model.name} is {model.state.lower()}{why}.", look)


def _failing(view: EdgeView) -> Iterator[Notice]:
    failed, answered = sum(m.failed for m in view.lately), sum(m.answered for m in view.lately)
    if failed:
        share = failed / (failed + answered)
        newest = next((one for one in reversed(view.failures) if one.status not in CLIENTS_FAULTS), None)
        said = f" The newest: {newest.status}: {newest.message}" if newest is not None else ""
        yield Notice(
            "alarm" if share >= ALARMING_FAILURES and failed >= ALARMING_COUNT else "warning",
            f"{failed} of {failed + answered} requests failed in the last 5 minutes ({share:.1%}).{said}",
            "See the failures; a limit that refuses names its key.",
        )


def _cloud(view: EdgeView) -> Iterator[Notice]:
    registry, named = view.facts.registry, len(view.replicas)
    if registry and not view.registry_heard:
        look = "Is it running, is it reachable from here, do the certificates fit?"
        yield Notice("alarm", f"The fleet registry at {registry} was not heard of: the edge serves alone.", look)
    elif registry and not view.usable and (named or view.missed):
        starting = named and view.now_s - view.started_s < STARTING_S
        look = "Plans are being prepared." if starting else "See the fleet, and the replicas' logs."
        said = f"No cloud replica takes requests{' yet' if starting else ''} ({named} known): the edge serves alone."
        yield Notice("warning" if starting else "alarm", said, look)
    elif view.usable < named:
        look = "See the fleet for which, and that replica's log."
        yield Notice("warning", f"{named - view.usable} of {named} replicas take no requests.", look)
    if view.registry_heard and view.registry_away_s is not None and view.registry_away_s >= AWAY_S:
        look = "The edge goes on with the replicas that it knew, and finds no new one. Does the registry run?"
        yield Notice("warning", f"The fleet registry at {registry} no longer answers.", look)
    resumed = sum(moment.resumed_on_edge for moment in view.lately)
    if resumed:
        yield Notice(
            "warning",
            f"{resumed} requests were finished on the edge in the last 5 minutes, because no replica answered.",
            "They were answered; the replicas or the link are slow or gone.",
        )


def _full(view: EdgeView) -> Iterator[Notice]:
    facts = view.facts
    if view.waiting >= NEARLY_FULL * facts.waiting_limit:
        look = "Beyond it requests are refused (RESOURCE_EXHAUSTED): less load, or edge.limits.queue."
        yield Notice("alarm", f"{view.waiting} of at most {facts.waiting_limit} requests wait.", look)
    if view.kept_bytes >= NEARLY_FULL * facts.kept_limit_bytes:
        look = "Beyond it requests are refused: a slow link, or raise edge.kept_memory."
        share = view.kept_bytes / facts.kept_limit_bytes
        yield Notice("alarm", f"Kept boundary tensors take {share:.0%} of what they may.", look)
    if view.log_lost:
        look = "Is the disk full? Requests are not affected."
        yield Notice("warning", f"The decision log could not keep {view.log_lost} records.", look)


def _doubtful(view: EdgeView) -> Iterator[Notice]:
    error = prediction_error(view.latest)
    if error is not None and error.count >= ENOUGH_REQUESTS and error.median > DOUBTFUL_ERROR:
        way = "longer" if error.bias < 0 else "shorter"
        yield Notice(
            "warning",
            f"Predictions are off by {error.median:.0%} in the median; requests take {way} than predicted.",
            "See the plans for which stage; choices rest on these. Is something else using this machine?",
        )


def _drifted(view: EdgeView) -> Iterator[Notice]:
    """One of each stage, with the plan that is off the most."""
    for stage in STAGES:
        found = sorted((one for one in view.drifts if one.stage == stage), key=lambda one: abs(math.log(one.factor)))
        if found:
            worst = found[-1]
            others = f", and {len(found) - 1} other plans" if len(found) > 1 else ""
            what = (
                f"The {stage} takes {worst.factor:.2g} times as long as was measured for {worst.plan_name} of "
                f"{worst.model}{others}."
            )
            yield Notice("warning", what, _REMEDIES[stage] if not view.remeasured.standing else _MEASURING[stage])
