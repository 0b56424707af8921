"""Why a plan was chosen, in one line that a person reads."""

from __future__ import annotations

from collections.abc import Sequence

from isthmus.units import format_duration
from nodes.chooser import ChoiceRequest
from partitioner.link import Link
from partitioner.plan import Plan
from scheduler.policies.prediction import Candidate

__all__ = ["plan_name", "reason_line"]

_SHOWN_TENSORS = 2


def plan_name(plan: Plan) -> str:
    """ "edge-only", "cloud-only (file)", "split at blocks.4 (zstd)"."""
    if plan.kind == "edge-only":
        return "edge-only"
    codecs = "+".join(dict.fromkeys(tensor.codec for tensor in plan.boundary))
    place = "cloud-only" if plan.kind == "cloud-only" else f"split at {_tensors(plan)}"
    return f"{place} ({codecs})" if codecs else place


def reason_line(request: ChoiceRequest, link: Link | None, chosen: Candidate, among: Sequence[Candidate]) -> str:
    """ "split at blocks.4 (zstd): 74 ms beats edge-only 101 ms and cloud-only (file) 131 ms at 20 Mbit/s, RTT 20 ms".

    among: all candidates of the form; the best of each other kind is named.
    """
    start = f"{plan_name(chosen.entry.plan)}: {format_duration(chosen.total_s)}"
    if not request.cloud_reachable:
        return f"{start}, the cloud is not reachable"
    if link is None:
        return f"{start}, the link is not measured yet"
    rivals = _best_of_other_kinds(chosen, among)
    if not rivals:
        return f"{start}, the only kind of plan there is at {link}"
    return f"{start} {_comparison(chosen, rivals)} at {link}"


def _tensors(plan: Plan) -> str:
    names = [tensor.tensor for tensor in plan.boundary]
    more = f" and {len(names) - _SHOWN_TENSORS} more" if len(names) > _SHOWN_TENSORS else ""
    return ", ".join(names[:_SHOWN_TENSORS]) + more if names else "no tensor"


def _best_of_other_kinds(chosen: Candidate, among: Sequence[Candidate]) -> list[Candidate]:
    best: dict[str, Candidate] = {}
    for candidate in among:
        kind = candidate.entry.plan.kind
        if kind != chosen.entry.plan.kind and (kind not in best or candidate.total_s < best[kind].total_s):
            best[kind] = candidate
    return sorted(best.values(), key=lambda candidate: candidate.total_s)


def _comparison(chosen: Candidate, rivals: Sequence[Candidate]) -> str:
    # A rival that is quicker lost for another reason (a forced plan, a deadline, a tie): say so plainly.
    beaten = [_named(rival) for rival in rivals if rival.total_s > chosen.total_s]
    against = [_named(rival) for rival in rivals if rival.total_s <= chosen.total_s]
    said = ["beats " + " and ".join(beaten)] if beaten else []
    said += ["against " + " and ".join(against)] if against else []
    return ", ".join(said)


def _named(candidate: Candidate) -> str:
    return f"{plan_name(candidate.entry.plan)} {format_duration(candidate.total_s)}"
