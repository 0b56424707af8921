"""Short names and colours for the plans of a report: one for edge-only, each cloud-only encoding and each cut."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    """A name for each plan, by plan id. Plans of one cut share a name; cloud-only ones of one encoding do."""
    given: dict[object, PlanName] = {}
    names: dict[str, PlanName] = {}
    for plan in plans:
        key = _group(plan)
        if key not in given:
            number = sum(name.code[0] == _LETTER[plan.kind] for name in given.values())
            given[key] = _named(plan, number, op_count)
        names[plan.plan_id] = given[key]
    return names


_LETTER = {"edge-only": "E", "cloud-only": "C", "split": "S"}


def _group(plan: Plan) -> object:
    if plan.kind == "cloud-only":
        return tuple((tensor.tensor, tensor.codec) for tensor in plan.boundary)
    return plan.kind if plan.kind == "edge-only" else plan.edge_ops


def _named(plan: Plan, number: int, op_count: int) -> PlanName:
    letter = _LETTER[plan.kind]
    code = letter if letter == "E" else f"{letter}{number + 1}"
    return PlanName(code, plan_title(plan, op_count), plan_colour(plan.kind, number))


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
