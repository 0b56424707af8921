"""A decision log as the run that it tells of: requests in the order in which they came, and what was seen of the
link."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from isthmus.errors import InvalidInput, InvalidRequest
from nodes.chooser import Asked, Exchange, Outcome, Transfer
from nodes.steering import PolicySetting
from partitioner.plan_table import PlanTable
from scheduler.decision_record import AdmissionBounds
from simulations.replay.logged_request import LoggedRequest, Placed

__all__ = ["LoggedRun", "Seen", "logged_run"]

# Requests that were refused are written when that is known; a machine that was started anew has a clock that begins at
# zero.
_MOST_BACK_S = 600.0
# Decisions and what is seen of the link are written as they are made.
_MOST_UNORDERED_S = 5.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Seen:
    """Something that showed the link, at a moment since the log's first one. what: a round trip's seconds, or bytes."""

    at_s: float
    what: Transfer | Exchange | float


@dataclass(frozen=True, slots=True)
class LoggedRun:
    """requests: in the order in which they came. bounds: None where the log does not say them."""

    requests: tuple[LoggedRequest, ...]
    seen: tuple[Seen, ...]
    bounds: AdmissionBounds | None

    @property
    def span_s(self) -> float:
        """From the log's first moment to the last arrival."""
        return self.requests[-1].asked.came_s

    @property
    def seed(self) -> int:
        """Of the chooser's randomness."""
        return next((one.placed.seed for one in self.requests if one.placed is not None), 0)


@dataclass
class _Reading:
    """What the lines so far say. Moments are the edge's own."""

    tables: dict[str, PlanTable] = field(default_factory=dict)
    asked: list[tuple[Asked, Placed | None, str, str]] = field(default_factory=list)  # with request id and failure
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    bounds: AdmissionBounds | None = None
    newest_s: float = 0.0
    written_s: float = 0.0


def logged_run(lines: Iterable[Mapping[str, Any]]) -> LoggedRun:
    """The run of a log's lines, files one after the other.

    Raises InvalidRequest for a log of a version that lacks what is needed, of several starts of a machine, without a
    decision, and for a line that does not hold what it should.
    """
    reading = _Reading()
    for line in lines:
        take = _KINDS.get(line["kind"])
        if take is not None:
            _checked(line, reading, take)
    if not any(placed is not None for _, placed, _, _ in reading.asked):
        raise InvalidRequest("log", "holds no decision", remedy="give the log of an edge that was asked something")
    return _run(reading)


def _checked(line: Mapping[str, Any], reading: _Reading, take: Callable[[Mapping[str, Any], _Reading], None]) -> None:
    try:
        take(line, reading)
    except InvalidInput:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        said = f"does not hold what it should: {type(error).__name__} {error}"
        raise InvalidRequest(
            f'line of kind "{line["kind"]}"', said, remedy="give a decision log as it was written"
        ) from None


def _log(line: Mapping[str, Any], reading: _Reading) -> None:
    if line["version"] < 2:
        raise InvalidRequest(
            "log",
            "does not say when requests came, nor which were refused",
            value=f"version {line['version']}",
            remedy="record one with this version of the edge",
        )


def _admission(line: Mapping[str, Any], reading: _Reading) -> None:
    reading.bounds = AdmissionBounds(**_without(line, "kind"))


def _table(line: Mapping[str, Any], reading: _Reading) -> None:
    reading.tables[line["table"]] = PlanTable.from_json(json.dumps(line["plans"]))


def _decision(line: Mapping[str, Any], reading: _Reading) -> None:
    request, table = line["request"], reading.tables[line["table"]]
    remaining_s, came_s, turn_s = request["remaining_s"], float(request["came_s"]), float(request["now_s"])
    setting = PolicySetting(**line["policy"])
    _written(reading, turn_s)
    timeout_s = None if remaining_s is None else remaining_s + turn_s - came_s
    asked = Asked(
        came_s=came_s,
        model=table.model,
        form=request["form"],
        batch=request["batch"],
        file_bytes=request["file_bytes"],
        timeout_s=timeout_s,
        asked_s=request.get("asked_s", timeout_s),  # up to version 4 a client's own deadline is not told
        priority=request["priority"],
        client=request["client"],
        request_class=request["request_class"],
        policy=setting.name if line["because"] == "the request's policy" else "",
        plan_id=request["plan_id"],
    )
    acted = table.by_id(line.get("explored", line["choice"])["plan_id"])
    placed = Placed(setting, line["because"], line["seed"], acted, table, request["cloud_reachable"])
    _came(reading, asked, placed, request["request_id"])


def _refused(line: Mapping[str, Any], reading: _Reading) -> None:
    asked = {"asked_s": line["timeout_s"], **_without(line, "kind", "failure", "request_id")}
    _came(reading, Asked(**asked), None, "", line["failure"])


def _written(reading: _Reading, now_s: float) -> None:
    """A line that was made at that moment."""
    if now_s < reading.written_s - _MOST_UNORDERED_S:
        raise _starts_over(now_s)
    reading.written_s = max(reading.written_s, now_s)


def _starts_over(now_s: float) -> InvalidRequest:
    remedy = "give the files of one start of the machine"
    return InvalidRequest("log", "has a clock that starts over", value=f"{now_s:.0f} s", remedy=remedy)


def _came(reading: _Reading, asked: Asked, placed: Placed | None, request_id: str, failure: str = "") -> None:
    if asked.came_s < reading.newest_s - _MOST_BACK_S:
        raise _starts_over(asked.came_s)
    reading.newest_s = max(reading.newest_s, asked.came_s)
    reading.asked.append((asked, placed, request_id, failure))


def _outcome(line: Mapping[str, Any], reading: _Reading) -> None:
    outcome = Outcome(**_without(line, "kind"))
    reading.outcomes[outcome.request_id] = outcome


def _observed(line: Mapping[str, Any], reading: _Reading) -> None:
    what: Transfer | Exchange | float
    if "transfer" in line:
        what = Transfer(**line["transfer"])
    elif "exchange" in line:
        what = Exchange(**line["exchange"])
    elif "rtt_s" in line:
        what = float(line["rtt_s"])
    else:
        return  # what stages took is in the outcomes
    _written(reading, float(line["now_s"]))
    reading.seen.append(Seen(float(line["now_s"]), what))


_KINDS: Mapping[str, Callable[[Mapping[str, Any], _Reading], None]] = {
    "log": _log,
    "admission": _admission,
    "table": _table,
    "decision": _decision,
    "refused": _refused,
    "outcome": _outcome,
    "observed": _observed,
}


def _without(line: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name not in names}


def _run(reading: _Reading) -> LoggedRun:
    first_s = min([asked.came_s for asked, *_ in reading.asked] + [one.at_s for one in reading.seen])
    requests = [
        LoggedRequest(replace(asked, came_s=asked.came_s - first_s), placed, reading.outcomes.get(request_id), why)
        for asked, placed, request_id, why in reading.asked
    ]
    requests.sort(key=lambda one: one.asked.came_s)
    seen = [replace(one, at_s=one.at_s - first_s) for one in reading.seen]
    return LoggedRun(tuple(requests), tuple(sorted(seen, key=lambda one: one.at_s)), reading.bounds)
