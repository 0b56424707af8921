"""An edge's view as one JSON document: what the page and `isthmus top` draw. docs/sight.md says what each name means.

Times are ages in seconds at the moment of the document, so that no reader's clock needs to agree with this one's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from nodes.sight.attention import attention
from nodes.sight.base import Ended
from nodes.sight.history import KEPT_MOMENTS, PERIOD_S, Moment
from nodes.sight.summary import STAGES, Latency, PredictionError, latency, plan_summaries, prediction_error
from nodes.sight.view import WINDOW_S, EdgeView, cuts_of
from nodes.steering import Steering

__all__ = ["FORMAT_VERSION", "sight_json"]

FORMAT_VERSION = 1
NOW_S = 10.0
_SHOWN_REQUESTS = 40


def sight_json(view: EdgeView) -> str:
    """The document as text."""
    return json.dumps(_document(view), separators=(",", ":"), allow_nan=False)


def _document(view: EdgeView) -> dict[str, Any]:
    facts, latest = view.facts, view.latest
    return {
        "version": FORMAT_VERSION,
        "edge": {
            "id": facts.edge_id,
            "run": facts.run,
            "version": facts.version,
            "engine": facts.engine,
            "device": facts.device,
            "threads": facts.threads,
            "ready": view.ready,
            "up_s": view.now_s - view.started_s,
        },
        "emulated": list(view.emulated),
        "attention": [asdict(notice) for notice in attention(view)],
        "policy": _policy(view),
        "models": _models(view, latest),
        "now": _now(view),
        "link": None if view.link is None else asdict(view.link),
        "fleet": {
            "registry": facts.registry,
            "heard": view.registry_heard,
            "away_s": view.registry_away_s,
            "missed": view.missed,
            "replicas": _replicas(view),
        },
        "plans": _plans(latest),
        "requests": [_request(one, view.now_s) for one in reversed(view.requests[-_SHOWN_REQUESTS:])],
        "failures": [
            {
                "id": one.request_id,
                "age_s": view.now_s - one.at_s,
                "model": one.model,
                "status": one.status,
                "message": one.message,
            }
            for one in reversed(view.failures)
        ],
        "drift": _drift(view),
        "totals": _totals(view),
        "history": {
            "period_s": PERIOD_S,
            "kept": KEPT_MOMENTS,
            "moments": [_moment(moment, view.now_s) for moment in view.moments],
        },
        "window_s": WINDOW_S,
    }


def _totals(view: EdgeView) -> dict[str, int]:
    """Since the start."""
    resumes = view.resumes.to_dict()
    by_first_replica = resumes.pop("answered")
    return {
        "answered": view.answered,
        "failed": view.failed,
        "mistaken": view.mistaken,
        "answered_by_cloud": by_first_replica,
        **resumes,
        "decision_log_lost": view.log_lost,
    }


def _drift(view: EdgeView) -> dict[str, Any]:
    stages = []
    for one in view.drifts:
        told = asdict(one)
        since_s = told.pop("since_s")
        stages.append({**told, "age_s": view.now_s - since_s})
    again = view.remeasured
    ended_age_s = None if again.ended_s is None else view.now_s - again.ended_s
    return {
        "stages": stages,
        "measuring_again": bool(again.standing),
        "measured_again": again.count,
        "measured_again_age_s": ended_age_s,
    }


def _policy(view: EdgeView) -> dict[str, Any]:
    steering: Steering = view.steering
    canary, shadow = steering.canary, steering.shadow
    return {
        "in_force": [{"scope": str(scope), "policy": str(policy)} for scope, policy in steering.policies.items()],
        "by_operator": [str(scope) for scope in steering.by_operator],
        "canary": canary and {"policy": str(canary.policy), "share": canary.share},
        "shadow": shadow and {"policy": str(shadow), **asdict(view.shadow_report)},
    }


def _models(view: EdgeView, latest: Sequence[Ended]) -> list[dict[str, Any]]:
    cuts = cuts_of(latest) or cuts_of(view.requests)
    found = []
    for model in view.models:
        cut = cuts.get(model.name)
        found.append({"name": model.name, "version": model.version, "state": model.state, "cut": cut and asdict(cut)})
    return found


def _now(view: EdgeView) -> dict[str, Any]:
    """Of the last NOW_S and, where that is said, of the window."""
    moments = [moment for moment in view.lately if moment.at_s > view.lately[-1].at_s - NOW_S]
    span_s = sum(moment.span_s for moment in moments)
    answered, failed = sum(m.answered for m in moments), sum(m.failed for m in moments)
    latest = view.latest
    return {
        "answered_per_s": answered / span_s if span_s else 0.0,
        "failed_per_s": failed / span_s if span_s else 0.0,
        "failed_in_window": sum(moment.failed for moment in view.lately),
        "mistaken_in_window": sum(moment.mistaken for moment in view.lately),
        "answered_in_window": sum(moment.answered for moment in view.lately),
        "latency": _latency(latency(latest)),
        "error": _error(prediction_error(latest)),
        "waiting": view.waiting,
        "waiting_limit": view.facts.waiting_limit,
        "before_turn": view.admission.waiting,
        "turn_wait_s": view.admission.wait_s,
        "edge_queue_s": view.edge_queue_s,
        "cloud_queue_s": min((o.cloud_queue_s for o in view.replicas if o.cloud_queue_s is not None), default=None),
        "kept_bytes": view.kept_bytes,
        "kept_limit_bytes": view.facts.kept_limit_bytes,
        "replicas_usable": view.usable,
    }


def _replicas(view: EdgeView) -> list[dict[str, Any]]:
    found = []
    for one in view.replicas:
        told = asdict(one)
        heard_s = told.pop("heard_s")
        found.append({**told, "models": list(one.models), "heard_age_s": heard_s and view.now_s - heard_s})
    return found


def _plans(latest: Sequence[Ended]) -> list[dict[str, Any]]:
    found = []
    for one in plan_summaries(latest):
        about = {name: getattr(one, name) for name in ("model", "plan_id", "name", "kind", "form")}
        counts = {"count": one.count, "failed": one.failed, "share": one.count / len(latest)}
        times = {"measured": dict(one.measured), "predicted": dict(one.predicted), "latency": _latency(one.latency)}
        found.append({**about, **counts, **times, "error": _error(one.error)})
    return found


def _request(one: Ended, now_s: float) -> dict[str, Any]:
    outcome = one.outcome
    return {
        "id": outcome.request_id,
        "age_s": max(0.0, now_s - one.came_s),
        "model": one.model,
        "class": one.request_class,
        "policy": one.policy,
        "explored": one.explored,
        "plan_id": one.plan_id,
        "plan": one.plan_name,
        "predicted_s": one.predicted.total_s,
        "measured_s": one.measured_s,
        "stages": {name: getattr(outcome, name) for name in STAGES},
        "error": one.error,
        "finished_by": outcome.finished_by,
        "replica": outcome.replica,
        "wire_bytes": outcome.wire_bytes,
        "sendings": outcome.sendings,
        "failure": outcome.failure,
    }


def _moment(moment: Moment, now_s: float) -> dict[str, Any]:
    link = moment.link
    return {
        "number": moment.number,
        "age_s": max(0.0, now_s - moment.at_s),
        "span_s": moment.span_s,
        "answered": moment.answered,
        "failed": moment.failed,
        "mistaken": moment.mistaken,
        "resumed_on_edge": moment.resumed_on_edge,
        "ended": moment.ended,
        "looked_at": moment.looked_at,
        "plans": dict(moment.plans),
        "stages": dict(moment.stages),
        "latency": _latency(moment.latency),
        "error": _error(moment.error),
        "waiting": moment.waiting,
        "edge_queue_s": moment.edge_queue_s,
        "cloud_queue_s": moment.cloud_queue_s,
        "replicas_usable": moment.replicas_usable,
        "link": None if link is None else asdict(link),
    }


def _latency(found: Latency | None) -> Mapping[str, float] | None:
    return None if found is None else asdict(found)


def _error(found: PredictionError | None) -> Mapping[str, float] | None:
    return None if found is None else asdict(found)
