"""Why a request is not answered, as it travels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from isthmus.errors import DeadlineExceeded, IsthmusError, Overloaded, PlanAway, TooLarge, UnknownPlan, grpc_status_name

__all__ = ["MOST_RETRY_AFTER_MS", "Rejection"]

MOST_RETRY_AFTER_MS = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a request is not answered. code: a gRPC status name; reason: a stable word. retry_after_s: when it is worth
    trying again; None where nothing is said of it."""

    code: str
    reason: str
    message: str
    retry_after_s: float | None = None

    @classmethod
    def of(cls, error: IsthmusError) -> Rejection:
        """What an edge is told of an error."""
        code = grpc_status_name(error)
        otherwise = "BAD_TENSOR" if code == "INVALID_ARGUMENT" else "COMPUTE"
        retry_after_s = error.retry_after_s if isinstance(error, Overloaded) else None
        return cls(code, _REASONS.get(type(error), otherwise), str(error), retry_after_s)

    @property
    def retry_after_ms(self) -> int:
        """As it travels: 0 where nothing is said."""
        return 0 if self.retry_after_s is None else max(1, round(min(self.retry_after_s * 1e3, MOST_RETRY_AFTER_MS)))


_REASONS: Mapping[type[IsthmusError], str] = {
    UnknownPlan: "UNKNOWN_PLAN",
    PlanAway: "UNKNOWN_PLAN",  # what edges of before know; the code tells the two apart
    DeadlineExceeded: "EXPIRED",
    Overloaded: "OVERLOADED",
    TooLarge: "TOO_LARGE",
}
