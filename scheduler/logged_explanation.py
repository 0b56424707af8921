"""What a decision log on disk tells of one request: of those that an edge no longer has in memory, too."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from isthmus.errors import InvalidRequest, NotFound
from partitioner.plan_table import PlanTable
from scheduler.decision_record import told_of_decision, told_of_refusal
from scheduler.decision_replay import log_lines, log_paths

__all__ = ["logged_explanation"]

_ENDS = ("decision", "declined", "refused")


def logged_explanation(log: Path, request_id: str) -> dict[str, Any]:
    """As `decision_record.explanation`. log: a folder or a file of it. request_id: "" for the newest.

    Raises NotFound for a request that the log does not tell of, or no log; InvalidRequest for a file that is none.
    """
    lines = (line for path in log_paths(log) for line in log_lines(path))
    try:
        found, plans, outcome = _found(lines, request_id)
        if found is None:
            which = f"request {request_id!r}" if request_id else "a request"
            raise NotFound(f"decision log {log}: does not tell of {which}: the oldest files go")
        if found["kind"] == "refused":
            return told_of_refusal(_without(found, "kind"))
        table = PlanTable.from_json(json.dumps(plans))
        return told_of_decision(_without(found, "kind", "table"), table, outcome and _without(outcome, "kind"))
    except (KeyError, TypeError, AttributeError) as error:
        problem, remedy = f"has a line that is none of a decision log: {error!r}", "give a log as it was written"
        raise InvalidRequest(str(log), problem, remedy=remedy) from error


def _found(
    lines: Iterable[Mapping[str, Any]], request_id: str
) -> tuple[Mapping[str, Any] | None, object, Mapping[str, Any] | None]:
    """The line of the request, the plans that it chose from, the line of its outcome; None for what is not there."""
    tables = dict[str, object]()
    found: Mapping[str, Any] | None = None
    outcome: Mapping[str, Any] | None = None
    plans: object = None
    for line in lines:
        kind = line["kind"]
        if kind == "table":
            tables[line["table"]] = line["plans"]
        elif kind == "outcome":
            if found is not None and line["request_id"] == _id(found):
                outcome = line
        elif kind == "refused" and found is not None and found["kind"] == "declined" and _id(line) == _id(found):
            pass  # the same refusal, without what the policy was asked
        elif kind in _ENDS and (not request_id or _id(line) == request_id):
            found, plans, outcome = line, tables.get(line.get("table", "")), None
    return found, plans, outcome


def _id(line: Mapping[str, Any]) -> str:
    """ "" of a refusal that was written before those had one."""
    named: str = line.get("request_id", "") if line["kind"] == "refused" else line["request"]["request_id"]
    return named


def _without(line: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name not in names}
