"""What each plan is predicted to take for one request: its own stages on the link, and the waits before them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import CloudUnavailable, DeadlineUnreachable, NotFound
from nodes.chooser import EVEN, HOPELESS, Choice, ChoiceRequest
from partitioner.link import Link
from partitioner.objectives import Stage, latency_stage
from partitioner.plan import Prediction
from scheduler.admission.refusal import unreachable
from scheduler.policies.arrival import MOST_SPREAD, Arrival, arrivals
from scheduler.policies.corrected import Amounts, Corrections
from scheduler.policies.reason import reason_line

__all__ = ["ASSUMED_LINK", "Forecast", "forecast"]

# Stands in where a plan must be predicted and nothing is known of the link: a usual mobile uplink.
ASSUMED_LINK = Link(uplink_bps=10e6, downlink_bps=10e6, rtt_s=0.05)
Floats = NDArray[np.float64]


class Forecast:
    """Every plan that takes this form of input, by its number. No dataclass: one is made for each request.

    link: as believed, None where nothing is known. stage: the prices of latency on it. entries: the plans.
    total_s: seconds from now to the answer, waits and what the request costs besides included.
    """

    __slots__ = ("_arrival", "_late_s", "amounts", "entries", "link", "on_link", "request", "stage", "total_s")

    def __init__(self, request: ChoiceRequest, link: Link | None, amounts: Amounts) -> None:
        self.request, self.link, self.amounts, self.entries = request, link, amounts, amounts.entries
        self.on_link = link or ASSUMED_LINK
        self.stage = latency_stage(self.on_link)
        self.total_s: list[float] = self.values(self.stage).tolist()
        # Worked out where there is a deadline only.
        self._arrival: Arrival | None = None
        self._late_s: dict[float, list[float]] = {}  # by sureness

    def values(self, stage: Stage, waiting: float = 1.0) -> Floats:
        """What each plan pays in that stage. waiting: the price of a second that the request waits for others, and of
        one that it costs besides."""
        request = self.request
        edge_s, uplink_bytes, downlink_bytes, cloud_s, crossing = stage
        result: Floats = self.amounts.matrix.dot(
            (
                edge_s,
                uplink_bytes,
                downlink_bytes,
                cloud_s,
                crossing + waiting * request.cloud_queue_s,
                waiting * request.edge_queue_s,
                uplink_bytes * request.file_bytes,
                waiting,
                waiting * request.overhead_s,
            )
        )
        if request.uplink_queue_s > 0 and waiting:
            result += waiting * self._uplink_waits()
        return result

    def _uplink_waits(self) -> Floats:
        """What of the wait for the uplink is left when each plan's prefix has ended; 0 for what does not cross."""
        matrix, request = self.amounts.matrix, self.request
        left = request.uplink_queue_s - matrix[:, 0] - matrix[:, 5] * request.edge_queue_s
        waits: Floats = np.maximum(left, 0.0) * matrix[:, 4]
        return waits

    @property
    def shared_s(self) -> list[float]:
        """Of each plan its time, and what its prefix makes others wait while the edge has a queue: all that come until
        it has ended, in the mean half of it those that come while it runs. What an idle edge would be asked for in the
        meantime nobody knows; there it is the time alone."""
        request = self.request
        if not (request.edge_queue_s > 0 and request.rate_per_s > 0):
            return self.total_s
        edge_s = self.amounts.joined_edge_s
        others_s = request.rate_per_s * edge_s * (request.edge_queue_s + edge_s / 2)
        shared: list[float] = (others_s + self.total_s).tolist()
        return shared

    def uplink_s(self, number: int) -> float:
        """Seconds that the plan's message is on the uplink, without the round trip."""
        row = self.amounts.row(number)
        return (row[1] + row[6] * self.request.file_bytes) * self.stage.uplink_bytes

    def downlink_s(self, number: int) -> float:
        """The same of the answer."""
        return self.amounts.row(number)[2] * self.stage.downlink_bytes

    def predicted(self, number: int) -> Prediction:
        """Where the plan's time goes: the wait before the prefix in `edge_s`, that for the way up in `uplink_s`, that
        before the suffix in `cloud_s`."""
        request, stage, row = self.request, self.stage, self.amounts.row(number)
        half_trip_s = row[4] * stage.crossing / 2
        edge_s = row[0] + row[5] * request.edge_queue_s
        return Prediction.of(
            edge_s,
            (row[1] + row[6] * request.file_bytes) * stage.uplink_bytes
            + half_trip_s
            + row[4] * max(0.0, request.uplink_queue_s - edge_s),
            row[3] + row[4] * request.cloud_queue_s,
            row[2] * stage.downlink_bytes + half_trip_s,
            row[7] + request.overhead_s,
        )

    def numbers(self, kind: str = "") -> Sequence[int]:
        """The plans of that kind ("edge-only", "cloud-only", "split"), all of them without one."""
        return self.amounts.of_kind.get(kind, ()) if kind else self.amounts.numbers

    def usable(self) -> Sequence[int]:
        """The plans that can run now and are predicted to end in time; the local ones while the link is unknown, where
        there are such.

        Raises CloudUnavailable where only the cloud could answer and is not reachable, DeadlineUnreachable where no
        plan ends in time as surely as it has to.
        """
        if self.link is not None and self.request.cloud_reachable:
            return self.in_time(self.amounts.numbers)
        return self.in_time(self.reachable(self.amounts.numbers, local_if_possible=True))

    def reachable(self, among: Sequence[int], *, local_if_possible: bool = False) -> Sequence[int]:
        """Those that can run now. Raises CloudUnavailable when all of them need the cloud and it is not there."""
        if self.request.cloud_reachable and not local_if_possible:
            return among
        local = [number for number in among if not self.amounts.crossing[number]]
        if self.request.cloud_reachable:
            return local or among
        if not local:
            model = self.request.table.model
            raise CloudUnavailable(f"model {model!r}: the plan needs the cloud, and no replica is reachable")
        return local

    def in_time(self, among: Sequence[int]) -> Sequence[int]:
        """Those that end within the remaining time as surely as the request has to, or by the edge's own work for
        certain, which it has the time for. On an idle edge where none does, those that rather do than not; where there
        is none either, those that are not hopeless. Raises DeadlineUnreachable when none is left."""
        remaining_s = self.request.remaining_s
        if remaining_s is None:
            return among
        kept = self._ending_by(remaining_s, among)
        if not kept and self.request.idle:
            kept = self._likely(remaining_s, among, EVEN) or self._likely(remaining_s, among, HOPELESS)
        if not kept:
            raise self._unreachable(among, remaining_s)
        return kept

    def ends_in_time(self, number: int) -> bool:
        """Whether the plan does, as surely as the request has to; always without a deadline."""
        remaining_s = self.request.remaining_s
        return remaining_s is None or bool(self._ending_by(remaining_s, (number,)))

    def _ending_by(self, remaining_s: float, among: Sequence[int]) -> Sequence[int]:
        request, spare_s = self.request, self.request.spare_s
        if spare_s is None:
            return among if self._all_end_by(remaining_s) else self._likely(remaining_s, among, request.sureness)
        alone_s, edge_s, total_s, wait_s = self.amounts.alone_s, self.amounts.edge_s, self.total_s, request.edge_queue_s
        if max(alone_s) <= spare_s:  # how late any would be need not be known
            return among
        late_s, free = self._late(request.sureness), request.idle  # idle: no promise to break
        return [
            number
            for number in among
            if alone_s[number] <= spare_s
            or (late_s[number] <= remaining_s and (free or edge_s[number] <= 0 or total_s[number] - wait_s <= spare_s))
        ]

    def _likely(self, remaining_s: float, among: Sequence[int], sureness: float) -> Sequence[int]:
        late_s = self._late(sureness)
        return [number for number in among if late_s[number] <= remaining_s]

    def _all_end_by(self, remaining_s: float) -> bool:
        """Whether there is so much time that no plan's uncertainty need be worked out: an unsure link makes the mean
        later by no more than this factor, and what need not be sure may be earlier than its mean."""
        request = self.request
        spread = min(max(request.uplink_spread, request.downlink_spread), MOST_SPREAD)
        return request.sureness <= EVEN and max(self.total_s) * math.exp(spread * spread / 2) <= remaining_s

    @property
    def arrival(self) -> Arrival:
        """When every plan's answer is expected, and how surely."""
        if self._arrival is None:
            self._arrival = arrivals(self.request, self.amounts, self.stage, self.values)
        return self._arrival

    def _late(self, sureness: float) -> list[float]:
        """When each plan's answer is there with that probability."""
        if sureness == EVEN:
            return self.total_s
        known = self._late_s.get(sureness)
        if known is None:
            known = self._late_s[sureness] = self.arrival.by_s(sureness).tolist()
        return known

    def _unreachable(self, among: Sequence[int], remaining_s: float) -> DeadlineUnreachable:
        request = self.request
        least = HOPELESS if request.idle else request.sureness
        quickest_s, late_s = (min([times[n] for n in among]) for times in (self.total_s, self._late(least)))
        waits_s = max(request.edge_queue_s, request.cloud_queue_s, request.uplink_queue_s)
        late_by_s = late_s - remaining_s
        surely = None if quickest_s > remaining_s else least
        retry_after_s = late_by_s if late_by_s <= waits_s else None
        quickest = self.entries[min(among, key=self.total_s.__getitem__)].plan.plan_id
        return unreachable(remaining_s, quickest_s, retry_after_s, surely, quickest)

    def choice(self, number: int, before: str = "", after: str | Callable[[], str] = "") -> Choice:
        """The plan of that number. before, after: what its reason says besides the comparison of times; `after` may be
        what makes it, as a reason is worked out when somebody asks for it."""
        why = partial(self._reason, number, before, after)
        finish_s = self.amounts.finish_s[number]
        return Choice(self.entries[number], self.predicted(number), why, self.request.policy, finish_s)

    def _reason(self, number: int, before: str, after: str | Callable[[], str]) -> str:
        said = after if isinstance(after, str) else after()
        line = reason_line(self.request, self.link, self.entries, self.total_s, number)
        return before + line + said


def forecast(request: ChoiceRequest, link: Link | None) -> Forecast:
    """Every plan that takes this form of input, predicted. Raises NotFound when there is none."""
    known = request.corrections
    corrections = known if isinstance(known, Corrections) else Corrections(known)
    amounts = corrections.amounts(request.table, request.form, request.batch)
    if not amounts.entries:
        raise NotFound(f"model {request.table.model!r} has no plan for input in the {request.form!r} form")
    return Forecast(request, link, amounts)
