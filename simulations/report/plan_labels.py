"""Short names and colours for the plans that ran."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from isthmus.page.palette import plan_colour
from simulations.answers.breakdown import PlanAnswer

__all__ = ["PlanLabel", "plan_labels"]

_LETTERS = {"edge-only": "E", "cloud-only": "C", "split": "S"}
_MOST = 10


@dataclass(frozen=True, slots=True)
class PlanLabel:
    """code: E, C1, S1... title: what it stands for. colour: as #rrggbb."""

    code: str
    title: str
    colour: str


def plan_labels(plans: Sequence[PlanAnswer]) -> Mapping[str, PlanLabel]:
    """By plan id; those that ran most are numbered first, and beyond ten of a kind they share one."""
    labels: dict[str, PlanLabel] = {}
    numbers: dict[str, int] = {}
    kinds = [_kind(plan) for plan in plans]
    models = len({plan.model for plan in plans})
    for plan, kind in zip(plans, kinds, strict=True):
        number = numbers[kind] = numbers.get(kind, -1) + 1
        several = sum(other.kind == plan.kind for other in plans) > 1
        if number >= _MOST:
            labels[plan.plan] = PlanLabel(f"{_LETTERS[kind]}…", f"other {kind}", "#8a8699")
            continue
        code = f"{_LETTERS[kind]}{number + 1}" if several else _LETTERS[kind]
        title = f"{plan.model}, {plan.title}" if models > 1 else plan.title
        labels[plan.plan] = PlanLabel(code, title, plan_colour(kind, number, min(kinds.count(kind), _MOST)))
    return labels


def _kind(plan: PlanAnswer) -> str:
    return plan.kind if plan.kind in _LETTERS else "split"
