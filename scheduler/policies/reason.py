"""Why a plan was chosen, in one line that a person reads."""

from __future__ import annotations

from collections.abc import Sequence

from isthmus.units import format_duration
from nodes.chooser import ChoiceRequest
from partitioner.link import Link
from partitioner.plan import Plan
from partitioner.plan_table import PlanEntry

__all__ = ["plan_name", "reason_line"]

_SHOWN_TENSORS = 2


def plan_name(plan: Plan) -> str:
    """ "edge-only", "cloud-only (file)", "split at blocks.4 (zstd)"."""
    if plan.kind == "edge-only":
        return "edge-only"
    codecs = "+".join(dict.fromkeys(tensor.codec for tensor in plan.boundary))
    place = "cloud-only" if plan.kind == "cloud-only" else f"split at {_tensors(plan)}"
    return f"{place} ({codecs})" if codecs else place


def reason_line(
    request: ChoiceRequest, link: Link | None, entries: Sequence[PlanEntry], total_s: Sequence[float], chosen: int
) -> str:
    """ "split at blocks.4 (zstd): 74 ms beats edge-only 101 ms and cloud-only (file) 131 ms at 20 Mbit/s, RTT 20 ms".

    entries, total_s: all plans of the form; the best of each other kind is named. chosen: the number of one.
    """
    start = _named(entries[chosen], total_s[chosen], colon=True)
    if not request.cloud_reachable:
        return f"{start}, the cloud is not reachable"
    if link is None:
        return f"{start}, the link is not measured yet"
    rivals = _best_of_other_kinds(entries, total_s, chosen)
    if not rivals:
        return f"{start}, the only kind of plan there is at {link}"
    # A rival that is quicker lost for another reason (a forced plan, a deadline, a tie): say so plainly.
    beaten = [_named(entries[rival], total_s[rival]) for rival in rivals if total_s[rival] > total_s[chosen]]
    against = [_named(entries[rival], total_s[rival]) for rival in rivals if total_s[rival] <= total_s[chosen]]
    said = ["beats " + " and ".join(beaten)] if beaten else []
    said += ["against " + " and ".join(against)] if against else []
    return f"{start} {', '.join(said)} at {link}"


def _tensors(plan: Plan) -> str:
    names = [tensor.tensor for tensor in plan.boundary]
    more = f" and {len(names) - _SHOWN_TENSORS} more" if len(names) > _SHOWN_TENSORS else ""
    return ", ".join(names[:_SHOWN_TENSORS]) + more if names else "no tensor"


def _best_of_other_kinds(entries: Sequence[PlanEntry], total_s: Sequence[float], chosen: int) -> list[int]:
    """Quickest first."""
    best, own = dict[str, int](), entries[chosen].plan.kind
    for number, entry in enumerate(entries):
        kind = entry.plan.kind
        if kind != own and (kind not in best or total_s[number] < total_s[best[kind]]):
            best[kind] = number
    return sorted(best.values(), key=total_s.__getitem__)


def _named(entry: PlanEntry, seconds: float, *, colon: bool = False) -> str:
    return f"{plan_name(entry.plan)}{':' if colon else ''} {format_duration(seconds)}"
