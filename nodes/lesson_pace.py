"""Which answered requests teach: of each plan's one in so many milliseconds, the others would say the same.

What is learned drifts over seconds. Learning takes as much as reading a small request does, and what was worked out
from what had been learned (corrections, a choice) is worked out anew afterwards.
"""

from __future__ import annotations

__all__ = ["LEAST_BETWEEN_LESSONS_S", "LessonPace"]

# 50 lessons a second of a plan: the estimators forget over five, so that they still follow within a tenth of a second.
LEAST_BETWEEN_LESSONS_S = 0.02


class LessonPace:
    """Keeps a moment for every plan that taught."""

    def __init__(self) -> None:
        self._next_s: dict[str, float] = {}

    def due(self, plan_id: str, now_s: float) -> bool:
        """Whether a request of that plan, answered now, teaches. The next ones then do not for a while."""
        if now_s < self._next_s.get(plan_id, now_s):
            return False
        self._next_s[plan_id] = now_s + LEAST_BETWEEN_LESSONS_S
        return True
