"""Short names and colours for the plans of a report: one for edge-only, each cloud-only encoding and each cut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from isthmus.page.palette import plan_colour
from partitioner.plan import Plan, TensorCodec

__all__ = ["PlanName", "codecs_of", "plan_names", "plan_title"]


@dataclass(frozen=True, slots=True)
class PlanName:
    """code: E, C1, C2... or S1, S2... title: what it stands for. colour: as #rrggbb."""

    code: str
    title: str
    colour: str


def plan_names(plans: Iterable[Plan], op_count: int) -> Mapping[str, PlanName]:
    """A name for each plan, by plan id. Plans of one cut share a name; cloud-only ones of one encoding do.

    Numbered as they come; coloured by the depth of the cut.
    """
    groups: dict[object, list[Plan]] = {}
    for plan in plans:
        groups.setdefault(_group(plan), []).append(plan)
    firsts = [of_one[0] for of_one in groups.values()]
    given = {id(plan): name for kind in _LETTER for plan, name in _named_of(kind, firsts, op_count)}
    return {plan.plan_id: given[id(of_one[0])] for of_one in groups.values() for plan in of_one}


_LETTER = {"edge-only": "E", "cloud-only": "C", "split": "S"}


def _group(plan: Plan) -> object:
    if plan.kind == "cloud-only":
        return tuple((tensor.tensor, tensor.codec) for tensor in plan.boundary)
    return plan.kind if plan.kind == "edge-only" else plan.edge_ops


def _named_of(kind: str, plans: Iterable[Plan], op_count: int) -> Iterator[tuple[Plan, PlanName]]:
    """Those of that kind."""
    alike = [plan for plan in plans if plan.kind == kind]
    by_depth = sorted(range(len(alike)), key=lambda number: len(alike[number].edge_ops))
    for place, number in enumerate(by_depth):
        code = _LETTER[kind] if kind == "edge-only" else f"{_LETTER[kind]}{number + 1}"
        colour = plan_colour(kind, place, len(alike))
        yield alike[number], PlanName(code, plan_title(alike[number], op_count), colour)


def plan_title(plan: Plan, op_count: int) -> str:
    """A few words that tell a plan from others; for a cut, without its codecs."""
    if plan.kind == "edge-only":
        return "edge-only"
    if plan.kind == "cloud-only":
        return f"cloud-only, {codecs_of(plan.boundary)}"
    return f"split after {len(plan.edge_ops)} of {op_count} ops"


def codecs_of(tensors: Iterable[TensorCodec]) -> str:
    """ "image as png", one after the other."""
    return ", ".join(f"{tensor.tensor} as {tensor.codec}" for tensor in tensors) or "nothing"
