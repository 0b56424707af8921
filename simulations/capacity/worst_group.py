"""Whom a promise about all requests together leaves out."""

from __future__ import annotations

from collections.abc import Sequence

from simulations.answers.groups import GroupAnswer
from simulations.capacity.plan_answer import WorstGroup

__all__ = ["worst_group"]


def worst_group(groups: Sequence[GroupAnswer]) -> WorstGroup | None:
    """The client, class or model with the smallest share in time, the first of equal ones; None where there is but one
    of each. groups: of a run, all requests first."""
    told = [
        WorstGroup(one.kind, one.name, one.n, one.kept_of_all)
        for one in groups
        if one.kind != "all" and one.kept_of_all is not None
    ]
    return min(told, key=lambda one: one.share.value, default=None)
