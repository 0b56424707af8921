"""Colours that tell things apart on a light page and on a dark one."""

from __future__ import annotations

__all__ = ["LINES", "plan_colour"]

LINES = ("#b4367a", "#7a5cc4", "#3f9461", "#cf6142", "#4376cc", "#94802a", "#a85bb8", "#6e8f3c")
"""Of lines and of splits, in this order."""
_BY_KIND = {"edge-only": ("#d08a12",), "cloud-only": ("#2a8c9e", "#64b6c4", "#17606e", "#93cbd5"), "split": LINES}


def plan_colour(kind: str, number: int) -> str:
    """Of the plan of that kind ("edge-only", "cloud-only", "split") and number among those, from 0; as #rrggbb."""
    colours = _BY_KIND[kind]
    return colours[number % len(colours)]
