"""The words in which a request is refused whose deadline cannot be met."""

from __future__ import annotations

from isthmus.errors import DeadlineUnreachable
from isthmus.units import format_duration

__all__ = ["LEAST_RETRY_S", "unreachable"]

LEAST_RETRY_S = 0.1


def unreachable(
    left_s: float, predicted_s: float, retry_after_s: float | None, probability: float | None = None, plan_id: str = ""
) -> DeadlineUnreachable:
    """left_s: until the deadline. predicted_s: what the request would take. retry_after_s: None where waiting would
    not help. probability: that it has to end in time with, where it is that which fails it. plan_id: of the quickest
    plan, "" where none was looked at."""
    left, predicted = format_duration(max(0.0, left_s)), format_duration(predicted_s)
    surely = "" if probability is None else f", too long for a probability of {probability:g}"
    said = f"deadline: {left} are left and the quickest plan takes {predicted}{surely}; allow more time"
    if retry_after_s is not None:
        retry_after_s = max(LEAST_RETRY_S, retry_after_s)
        said += f", or try again in {format_duration(retry_after_s)}"
    return DeadlineUnreachable(said, predicted_s=predicted_s, retry_after_s=retry_after_s, plan_id=plan_id)
