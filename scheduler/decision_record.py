"""Decisions, outcomes and what was observed as lines of JSON, and back: what is explained, kept on disk and replayed.

A file of the log starts with a line of kind "log"; "admission" says by what bounds requests are let in. A "table"
line holds the plans that later "decision" lines choose from; "outcome" lines follow when requests end; "declined"
lines hold what a policy was asked where it named no plan; "refused" lines tell of all requests that ended without a
decision; "observed" lines hold what was learned from, for whoever replays the estimators too. Floats are written so
that they read back equal: a decision replays to the same choice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nodes.chooser import Choice, ChoiceRequest, Exchange, Outcome, Refused, StageTimes, Transfer
from nodes.steering import PolicySetting
from partitioner.link import Link
from partitioner.plan import Prediction
from partitioner.plan_table import NO_CORRECTION, Correction, PlanTable
from scheduler.decision_log import Alternative, Decision, Declined, Kept, alternatives
from scheduler.policies.reason import plan_name

__all__ = [
    "FORMAT_VERSION",
    "READ_VERSIONS",
    "AdmissionBounds",
    "Observed",
    "RecordEncoder",
    "decision_record",
    "explanation",
    "request_from_record",
    "told_of_decision",
    "told_of_refusal",
]

# 2: decisions say when the request came, its priority and client; outcomes name the replica; refusals and the
# admission's bounds are there. 3: what a policy declined is there; refusals have their request's id. 4: requests say
# whether the edge was idle; before, one on an idle edge had a sureness next to nothing; transfers say
# whether they were finished. 5: requests and refusals say within how long the client itself asked for an answer
# (`asked_s`); before, only the deadline is known that held, which may have been the policy's. 6: requests say
# how many a second there were (`rate_per_s`). 7: corrections have a factor of finishing.
FORMAT_VERSION = 7
READ_VERSIONS = (1, 2, 3, 4, 5, 6, 7)
_TABLES_KNOWN = 64
_PLAIN = (
    "request_id", "request_class", "now_s", "form", "batch", "file_bytes", "remaining_s", "edge_queue_s",
    "cloud_queue_s", "overhead_s", "cloud_reachable", "uplink_spread", "downlink_spread", "policy", "plan_id",
    "previous", "uplink_queue_s", "spare_s", "sureness", "came_s", "priority", "client",
    "idle", "asked_s", "rate_per_s",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AdmissionBounds:
    """What the log's edge lets in: see `scheduler.admission.control.AdmissionControl`."""

    queue: int
    depth: int
    probability: float


@dataclass(frozen=True, slots=True)
class Observed:
    """Something that a chooser learned from. what: a round trip in seconds is a float. now_s: when, None for stages."""

    what: Transfer | Exchange | StageTimes | float
    now_s: float | None


def decision_record(decision: Decision | Declined) -> dict[str, Any]:
    """A decision and all that it was made from but the plans themselves, ready for JSON; of one that was declined the
    words in the place of the choice."""
    request, link = decision.request, decision.link
    record: dict[str, Any] = {
        "number": decision.number,
        "seed": decision.seed,
        "policy": _policy(decision.policy),
        "because": decision.because,
        "model": request.table.model,
        "request": {name: getattr(request, name) for name in _PLAIN},
        "corrections": {
            plan_id: [one.edge, one.cloud, one.uplink_bytes, one.overhead_s, one.finish]
            for plan_id, one in request.corrections.items()
            if one != NO_CORRECTION
        },
        "link": None if link is None else asdict(link),
    }
    if isinstance(decision, Declined):
        return {**record, "failure": decision.failure}
    record["choice"] = _choice(decision.choice)
    if decision.explored is not None:
        record["explored"] = _choice(decision.explored)
    if (shadow := decision.shadow) is not None:
        record["shadow"] = {
            "policy": _policy(shadow.policy),
            "choice": shadow.choice and _choice(shadow.choice),
            "failure": shadow.failure,
        }
    return record


def request_from_record(record: Mapping[str, Any], table: PlanTable) -> tuple[ChoiceRequest, Link | None]:
    """The request that `decision_record` wrote, and the link as then believed. table: the one that the line names."""
    corrections = {plan_id: _correction(factors) for plan_id, factors in record["corrections"].items()}
    link = None if record["link"] is None else Link(**record["link"])
    return ChoiceRequest(table=table, corrections=corrections, **record["request"]), link


def _correction(factors: Sequence[float]) -> Correction:
    """Older logs have four: finishing went by the factor of the edge's stage."""
    edge, cloud, uplink_bytes, overhead_s, *finish = factors
    return Correction(edge, cloud, uplink_bytes, overhead_s, finish[0] if finish else edge)


def explanation(kept: Kept, outcome: Outcome | None) -> dict[str, Any]:
    """What a person wants to know of a request: its record, how long it waited for its turn, every plan with its
    prediction, and what happened. Of one that ended before a policy was asked what it asked for, and `failure`."""
    if isinstance(kept, Refused):
        return told_of_refusal(asdict(kept))
    ended = None if outcome is None else asdict(outcome)
    return _told(decision_record(kept), kept.request, kept.alternatives(), ended)


def told_of_decision(record: Mapping[str, Any], table: PlanTable, outcome: Mapping[str, Any] | None) -> dict[str, Any]:
    """`explanation`, of what `decision_record` wrote. table: the one that the line names."""
    request, link = request_from_record(record, table)
    asked = {"request": {name: getattr(request, name) for name in _PLAIN}}  # older logs have fewer
    return _told({**record, **asked}, request, alternatives(request, link), outcome)


def told_of_refusal(refused: Mapping[str, Any]) -> dict[str, Any]:
    """`explanation`, of the fields of a Refused."""
    asked = dict(refused)
    told = {name: asked.pop(name) for name in ("model", "failure")}
    asked["remaining_s"] = asked.pop("timeout_s")
    return {**told, "request": asked, "candidates": [], "outcome": None}


def _told(
    record: Mapping[str, Any],
    request: ChoiceRequest,
    candidates: Iterable[Alternative],
    outcome: Mapping[str, Any] | None,
) -> dict[str, Any]:
    plans = [{"plan_id": one.plan_id, "name": one.name, "predicted": asdict(one.predicted)} for one in candidates]
    return {**record, "waited_s": request.waited_s, "candidates": plans, "outcome": outcome}


def _policy(setting: PolicySetting) -> dict[str, Any]:
    return {"name": setting.name, "options": dict(setting.options)}


def _choice(choice: Choice) -> dict[str, Any]:
    plan = choice.entry.plan
    predicted: Prediction = choice.predicted
    return {"plan_id": plan.plan_id, "name": plan_name(plan), "reason": choice.reason, "predicted": asdict(predicted)}


class RecordEncoder:
    """Lines for one file after another, each readable alone."""

    def __init__(self) -> None:
        self._tables: dict[int, tuple[PlanTable, str]] = {}
        self._bounds = b""

    def begin_file(self) -> bytes:
        """The first lines."""
        self._tables.clear()
        return _line({"kind": "log", "version": FORMAT_VERSION}) + self._bounds

    def encode(self, item: object) -> bytes:
        """The lines of a Decision, a Declined, an Outcome, a Refused, an Observed or an AdmissionBounds."""
        match item:
            case Decision() | Declined():
                kind = "decision" if isinstance(item, Decision) else "declined"
                told = decision_record(item)
                table, name = self._table(item.request.table)
                line = _line({"kind": kind, "table": name, **told})
                self._tables[id(item.request.table)] = item.request.table, name  # kept: nothing else gets its identity
                return table + line
            case Outcome():
                return _line({"kind": "outcome", **asdict(item)})
            case Refused():
                return _line({"kind": "refused", **asdict(item)})
            case AdmissionBounds():
                self._bounds = _line({"kind": "admission", **asdict(item)})
                return self._bounds
            case Observed():
                return _line({"kind": "observed", "now_s": item.now_s, **_observation(item.what)})
        raise TypeError(f"no record is made of a {type(item).__name__}")

    def _table(self, table: PlanTable) -> tuple[bytes, str]:
        """The line to write before its first decision in this file, and the name that decisions give it. Tables are
        known by identity: comparing them takes longer than writing one twice."""
        known = self._tables.get(id(table))
        if known is not None:
            return b"", known[1]
        if len(self._tables) >= _TABLES_KNOWN:
            self._tables.pop(next(iter(self._tables)))
        text = table.to_json()
        name = hashlib.sha256(text.encode()).hexdigest()[:16]
        return _line({"kind": "table", "table": name, "plans": json.loads(text)}), name


def _observation(what: Transfer | Exchange | StageTimes | float) -> dict[str, Any]:
    match what:
        case Transfer():
            return {"transfer": what._asdict()}
        case Exchange():
            return {"exchange": asdict(what)}
        case StageTimes():
            stages = {name: getattr(what, name) for name in StageTimes._fields if name != "entry"}
            return {"stages": {"plan_id": what.entry.plan.plan_id, **stages}}
    return {"rtt_s": what}


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":"), allow_nan=False).encode() + b"\n"
