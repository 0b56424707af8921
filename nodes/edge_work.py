"""What a chosen plan may ask of the edge: the same for live edges and simulated ones. Pure."""

from __future__ import annotations

from nodes.admission import EdgeWork
from nodes.chooser import Choice, ChoiceRequest

__all__ = ["DECODED_AT_ONCE_BYTES", "edge_work"]

DECODED_AT_ONCE_BYTES = 64 << 10
"""Answers up to this size are decoded on the event loop (some 50 us): in the pool they would wait behind a prefix."""


def edge_work(choice: Choice, asked: ChoiceRequest, due_s: float | None) -> EdgeWork:
    """due_s: see EdgeWork. Where the edge has no time to finish the request, its prefix is due so much sooner as the
    rest of its way is predicted to take."""
    predicted = choice.predicted
    prefix_s = max(0.0, predicted.edge_s - asked.edge_queue_s) if choice.entry.edge_works else 0.0
    finish_s = choice.finishes_in_s(asked.batch)
    if asked.spare_s is not None and prefix_s + finish_s <= asked.spare_s:
        return EdgeWork(due_s, prefix_s, finish_s, promised=True)
    return EdgeWork(None if due_s is None else due_s - (predicted.total_s - predicted.edge_s), prefix_s, 0.0)
