"""Several profiles of a side, of engines or devices: each edge is tried with each cloud."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from isthmus.cli.noise_words import noise_words
from isthmus.errors import InfeasibleCut

if TYPE_CHECKING:
    from isthmus.planning import Planner
    from partitioner.partition import BestPlan
    from partitioner.profiles import DeviceProfile
    from partitioner.setting import Setting

__all__ = ["PairedPlan", "best_pairs", "doubtful_times", "sides_words", "unlike_measures"]


@dataclass(frozen=True, slots=True)
class PairedPlan:
    """The best plan of one edge with one cloud, and who planned it."""

    planner: Planner
    best: BestPlan


def best_pairs(planners: Sequence[Planner], objective: str) -> list[PairedPlan]:
    """The best plan of each pair that has one, the best of all first, of equals the one given first.

    Raises the InfeasibleCut of the first pair where none has one.
    """
    found, refusals = list[PairedPlan](), list[InfeasibleCut]()
    for planner in planners:
        try:
            found.append(PairedPlan(planner, planner.best(objective)))
        except InfeasibleCut as error:
            refusals.append(error)
    if not found:
        raise refusals[0]
    return sorted(found, key=lambda pair: pair.best.value)


def unlike_measures(pairs: Sequence[PairedPlan]) -> Iterator[str]:
    """A warning where the plans of some pairs go by measured halves and those of others by sums, which are less."""
    from partitioner.measured_halves import has_measured_halves

    measured = [has_measured_halves(pair.planner.model, pair.best.setting) for pair in pairs]
    if any(measured) and not all(measured):
        yield "some of these pairs go by halves measured whole, others by sums of op times: measure all with --against"


def doubtful_times(settings: Iterable[Setting], model_digest: str) -> Iterator[str]:
    """A line for each device whose times are no measured ones of that model, or were measured on a busy machine."""
    sides = ((side, device) for one in settings for side, device in (("edge", one.edge), ("cloud", one.cloud)))
    lines = {
        f"times of {side} {device.name} ({device.ran_on}): {'; '.join(doubts)}": None
        for side, device in sides
        if (doubts := list(_doubts(device, model_digest)))
    }
    yield from lines


def _doubts(device: DeviceProfile, model_digest: str) -> Iterator[str]:
    if device.provenance.scaled_from or not device.has_op_times(model_digest):
        yield f"not measured, {device.op_times_are(model_digest)}"
    if noise := noise_words(device, model_digest):
        yield noise


def sides_words(setting: Setting) -> str:
    """What runs where."""
    edge, cloud = setting.edge, setting.cloud
    return f"edge {edge.name} ({edge.ran_on}), cloud {cloud.name} ({cloud.ran_on})"
