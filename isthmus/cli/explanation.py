"""A request's record as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from isthmus.units import format_bandwidth, format_duration, format_size
from nodes.steering import PolicySetting

__all__ = ["explanation_lines"]

_PREDICTED = ("edge_s", "uplink_s", "cloud_s", "downlink_s", "overhead_s", "total_s")
_WORTH_TELLING_S = 1e-3
_HAPPENED = ("edge_queue_s", "edge_s", "uplink_s", "cloud_queue_s", "cloud_s", "downlink_s")


def explanation_lines(record: Mapping[str, Any]) -> Iterator[str]:
    """Who decided, from what, all plans with their predicted parts, what was chosen, what happened; or why nothing
    was."""
    yield from _question(record)
    if "choice" not in record:
        yield from _refusal(record)
        return
    chosen = record.get("explored") or record["choice"]
    yield f"chosen: {chosen['reason']}"
    if "explored" in record:
        yield f"  to learn the link, in place of {record['choice']['name']}"
    if (shadow := record.get("shadow")) is not None:
        would = shadow["choice"]["reason"] if shadow["choice"] else f"no plan: {shadow['failure']}"
        yield f"shadow, {PolicySetting(**shadow['policy'])}: {would}"
    yield ""
    yield from _candidates(record["candidates"], chosen["plan_id"])
    yield ""
    yield from _happened(record["outcome"], chosen["predicted"]["total_s"], record["waited_s"])


def _question(record: Mapping[str, Any]) -> Iterator[str]:
    request, decided = record["request"], "policy" in record
    number = f", decision {record['number']}" if decided else ""
    yield f"request {request['request_id']}{number}, model {record['model']}"
    if decided:
        yield f"policy: {PolicySetting(**record['policy'])} for {record['because']}"
    yield f"asked: {_asked(request)}"
    if decided:
        yield f"believed: {_believed(record)}"


def _refusal(record: Mapping[str, Any]) -> Iterator[str]:
    yield f"refused{'' if 'policy' in record else ' before any policy was asked'}: {record['failure']}"
    if record["candidates"]:
        yield ""
        yield from _candidates(record["candidates"], chosen="")


def _asked(request: Mapping[str, Any]) -> str:
    form = f"a file of {format_size(request['file_bytes'])}" if request["form"] == "bytes" else "tensors"
    left = request["remaining_s"]
    deadline = "no deadline" if left is None else f"{format_duration(left)} until the deadline"
    of_class = f", class {request['request_class']}" if request["request_class"] else ""
    return f"{form}, batch {request['batch']}, {deadline}{of_class}"


def _believed(record: Mapping[str, Any]) -> str:
    request, link = record["request"], record["link"]
    queues = {one: request[f"{one}_queue_s"] for one in ("edge", "uplink", "cloud")}
    waits = ", ".join(f"{one} queue {format_duration(wait_s)}" for one, wait_s in queues.items())
    if not request["cloud_reachable"]:
        return f"no replica reachable, {waits}"
    if link is None:
        return f"link not measured yet, {waits}"
    up, down = format_bandwidth(link["uplink_bps"]), format_bandwidth(link["downlink_bps"])
    unsure = f"± {request['uplink_spread']:.0%} up, ± {request['downlink_spread']:.0%} down"
    return f"{up} up, {down} down ({unsure}), RTT {format_duration(link['rtt_s'])}, {waits}"


def _candidates(candidates: list[Mapping[str, Any]], chosen: str) -> Iterator[str]:
    width = max(len(one["name"]) for one in candidates)
    heads = "".join(f"{part.removesuffix('_s'):>11}" for part in _PREDICTED)
    yield f"  {'plan':<{width}}  predicted, ms"
    yield f"  {'':<{width}}{heads}"
    for one in candidates:
        mark = ">" if one["plan_id"] == chosen else " "
        parts = "".join(f"{one['predicted'][part] * 1e3:>11.1f}" for part in _PREDICTED)
        yield f"{mark} {one['name']:<{width}}{parts}  {one['plan_id']}"


def _happened(outcome: Mapping[str, Any] | None, predicted_s: float, waited_s: float) -> Iterator[str]:
    """waited_s: for its turn, before anything was predicted."""
    if outcome is None:
        yield "happened: no answer yet"
        return
    if outcome["failure"]:
        yield f"happened: failed: {outcome['failure']}"
        return
    total_s = sum(outcome[part] for part in _HAPPENED)
    own_s = total_s - waited_s
    off = f", {own_s / predicted_s - 1:+.0%} of the predicted {format_duration(predicted_s)}" if predicted_s else ""
    before = f", {format_duration(waited_s)} of it before its turn" if waited_s >= _WORTH_TELLING_S else ""
    replica = outcome.get("replica")  # not in the oldest logs
    by = f"{outcome['finished_by']} ({replica})" if replica else outcome["finished_by"]
    yield f"happened: {format_duration(total_s)}{before}{off}, finished by the {by}"
    yield "  " + ", ".join(
        f"{part.removesuffix('_s').replace('_', ' ')} {outcome[part] * 1e3:.1f} ms" for part in _HAPPENED
    )
    if outcome["wire_bytes"]:
        again = f", sent {outcome['sendings']} times" if outcome["sendings"] > 1 else ""
        yield f"  {format_size(outcome['wire_bytes'])} crossed{again}"
