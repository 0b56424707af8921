"""A decision log read back, and its policies run again on it: the same choices, or another policy's."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

from isthmus.errors import InvalidRequest, NotFound, error_words
from nodes.journal import oldest_first
from nodes.steering import PolicySetting
from partitioner.plan_table import PlanTable
from scheduler.decision_random import DecisionRandom
from scheduler.decision_record import READ_VERSIONS, request_from_record
from scheduler.policies.base import Policy

__all__ = ["Replayed", "log_files", "log_lines", "log_paths", "replayed"]

_PATTERNS = ("*.jsonl", "*.jsonl.zst")


@dataclass(frozen=True, slots=True)
class Replayed:
    """A decision made again, or declined again. record: its line. plan_id: what was chosen now, "" where the policy
    raised `failure`."""

    record: Mapping[str, Any]
    plan_id: str
    failure: str = ""

    @property
    def same(self) -> bool:
        """Whether the policy chose what it chose then, or declined in the same words."""
        then = ("", self.record["failure"]) if "failure" in self.record else (self.record["choice"]["plan_id"], "")
        return (self.plan_id, self.failure) == then


def log_files(folder: Path) -> tuple[Path, ...]:
    """The files of a log, oldest first. Raises NotFound where there are none."""
    found = oldest_first(path for pattern in _PATTERNS for path in folder.glob(pattern))
    if not found:
        raise NotFound(f"decision log {folder}: no *.jsonl or *.jsonl.zst file in it; name edge.decision_log.folder")
    return tuple(found)


def log_paths(log: Path) -> tuple[Path, ...]:
    """The files of a log that is named by its folder or by one of them, oldest first. Raises NotFound where there are
    none."""
    return (log,) if log.is_file() else log_files(log)


def log_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a file. The last may be cut short where a process was killed: it ends the file.

    Raises InvalidRequest naming the line for a file that is no decision log, or of another version; naming the file
    where it cannot be read: a running edge may have removed its oldest.
    """
    try:
        with path.open("rb") as raw:
            stream = zstandard.ZstdDecompressor().stream_reader(raw) if path.suffix == ".zst" else raw
            lines = io.BufferedReader(stream)
            for number, line in enumerate(lines, 1):
                yield from _read(path, number, line)
    except (OSError, zstandard.ZstdError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        remedy = "give a log that is whole; copy that of a running edge first"
        raise InvalidRequest(str(path), f"cannot be read: {why}", remedy=remedy) from error


def _read(path: Path, number: int, line: bytes) -> Iterator[dict[str, Any]]:
    where = f"{path.name}, line {number}"
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        if line.endswith(b"\n") or number == 1:
            raise InvalidRequest(where, "is not JSON", remedy="give a file of a decision log") from None
        return
    kind = record.get("kind") if isinstance(record, dict) else None
    if not isinstance(kind, str) or (number == 1) != (kind == "log"):
        raise InvalidRequest(where, "is no line of a decision log", remedy="give a file of a decision log")
    if number == 1 and record.get("version") not in READ_VERSIONS:
        remedy = f"read it with the version that wrote it; this one reads {' and '.join(map(str, READ_VERSIONS))}"
        raise InvalidRequest(where, "has another version", value=record.get("version"), remedy=remedy)
    yield record


def replayed(
    lines: Iterable[Mapping[str, Any]],
    make: Callable[[PolicySetting], Policy],
    instead: PolicySetting | None = None,
) -> Iterator[Replayed]:
    """Every decision of the log, those declined too, made again by the policy that made it, or by another one.

    make: a policy of a setting. Raises what it raises, InvalidRequest for lines that are not what was written.
    """
    tables: dict[str, PlanTable] = {}
    policies: dict[str, Policy] = {}
    for record in lines:
        if record["kind"] == "table":
            tables[record["table"]] = PlanTable.from_json(json.dumps(record["plans"]))
        if record["kind"] not in ("decision", "declined"):
            continue
        setting = instead or PolicySetting(**record["policy"])
        key = json.dumps([setting.name, dict(setting.options)], sort_keys=True)
        if key not in policies:
            policies[key] = make(setting)
        yield _again(record, tables[record["table"]], policies[key])


def _again(record: Mapping[str, Any], table: PlanTable, policy: Policy) -> Replayed:
    request, link = request_from_record(record, table)
    random = DecisionRandom(record["seed"])
    random.begin(record["number"])
    try:
        return Replayed(record, policy.choose(request, link, random).entry.plan.plan_id)
    except Exception as error:  # also a fault in a policy of somebody's own, as it was logged
        return Replayed(record, "", error_words(error))
