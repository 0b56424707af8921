"""In what order plans come: as measured, as predicted, and as sums of op times would have it.

A sum of op times is what most planners for split inference go by. It takes no engine that fuses, no cache and no wait
between ops into account, so plans may come in another order than it says.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from nodes.compute_pool import ComputePool
from nodes.engines.allocator import keep_freed_memory
from nodes.engines.factory import engine_for
from nodes.measure.anchors import measure_halves
from nodes.measure.device_profile import measure_device, measure_model
from nodes.plan_shapes import cut_plan
from partitioner.cost_model import Costing, FileFacts
from partitioner.frontier import frontier_of
from partitioner.link import Link
from partitioner.measurements import Measurement, OpTimes
from partitioner.model import Model
from partitioner.partition import plan_for_cut
from partitioner.plan import InputForm, Plan
from partitioner.profiles import DeviceProfile
from partitioner.setting import Setting

__all__ = ["OpSums", "Ranked", "disagreements"]

# Of the compute alone: the link of a setting plays no part.
_ANY_LINK = Link(20e6, 20e6, 0.03)
_DEVICE_BUDGET_S, _MODEL_BUDGET_S, _HALVES_BUDGET_S = 1.0, 2.0, 0.5
# Pairs that are less than this far apart are those that an order is worth knowing of.
_NEAR = 0.25


class OpSums:
    """What sums of op times, and halves measured whole, say of one model's plans: a profile taken in this process."""

    def __init__(self, model: Model, engine: str, slowdown: float, file: FileFacts) -> None:
        """slowdown: of the edge. Measures for some seconds."""
        self._model = model
        self._form: InputForm = "bytes" if any(spec.preprocessing for spec in model.interface.inputs) else "tensor"
        self._engines = (engine, engine)
        self._costing = Costing(form=self._form, lossless=False, file=file, edge_load=slowdown)
        keep_freed_memory()
        self._engine = engine_for(engine, threads=1)
        with ComputePool(1) as pool:
            profile = pool.run_blocking(measure_device, _DEVICE_BUDGET_S, self._engine)
            self._profile = pool.run_blocking(measure_model, model, profile, self._engine, budget_s=_MODEL_BUDGET_S)
        self._with_halves: DeviceProfile | None = None

    def time_halves(self, plans: Iterable[Plan]) -> None:
        """Measure both halves of each split in this process, as `isthmus profile --against` does."""
        (whole_s,) = (times.whole.seconds for times in self._profile.op_times)
        found = self._profile
        with ComputePool(1) as pool:
            for plan in plans:
                if plan.kind == "split":
                    of, budget_s = (self._model, self._engine, plan.edge_ops, whole_s), _HALVES_BUDGET_S
                    halves = pool.run_blocking(measure_halves, *of, budget_s=budget_s)
                    found = found.with_segment_times(*halves)
        self._with_halves = found

    def splits(self) -> Iterator[Plan]:
        """What an edge may have on its menu, in the codecs that edges offer: splits of the frontier, and, since two
        profiles of one device seldom give the same frontier to the op, after each number of ops."""
        setting = replace(self._setting(self._profile), costing=Costing(lossless=not self._model.calibration))
        order = tuple(op.name for op in self._model.graph.ops)
        cuts = [plan.plan.edge_ops for plan in frontier_of(self._model, setting).plans if plan.plan.kind == "split"]
        for cut in dict.fromkeys((*cuts, *(order[:count] for count in range(1, len(order))))):
            for codec in ("zstd", "int8"):
                yield cut_plan(self._model, cut, {}, codec, self._form, self._engines)

    def compute_ms(self, plan: Plan) -> Mapping[str, float]:
        """Both sides' compute in ms: from the op times as they are, scaled to sum to the whole model, and from halves
        measured whole, where they were (`time_halves`)."""
        plain = replace(self._profile, op_times=tuple(_unscaled(times) for times in self._profile.op_times))
        sums = {"sums of op times": plain, "sums of op times, scaled to the whole model": self._profile}
        if self._with_halves is not None:
            sums["halves measured beforehand"] = self._with_halves
        return {name: self._compute_ms(plan, profile) for name, profile in sums.items()}

    def _compute_ms(self, plan: Plan, profile: DeviceProfile) -> float:
        codecs = {tensor.tensor: tensor.codec for tensor in plan.boundary}
        said = plan_for_cut(self._model, self._setting(profile), plan.edge_ops, codecs).predicted
        assert said is not None
        return 1e3 * (said.edge_s + said.cloud_s)

    def _setting(self, profile: DeviceProfile) -> Setting:
        return Setting(profile, profile, _ANY_LINK, self._costing)


def _unscaled(times: OpTimes) -> OpTimes:
    total_s = math.fsum(time.seconds for time in times.seconds.values())
    return replace(times, whole=Measurement(total_s, 0.0, 1))


@dataclass(frozen=True, slots=True)
class Ranked:
    """One plan on one link, in ms: as measured, and as each predictor says."""

    measured: float
    said: Mapping[str, float]


def disagreements(groups: Iterable[Sequence[Ranked]], floor: float) -> dict[str, object]:
    """By predictor, how many pairs of a group come in the other order than measured.

    floor: pairs whose relative difference is no larger have no order.
    """
    pairs = [pair for group in groups for pair in combinations(group, 2) if _apart(pair) > floor]
    rows: dict[str, object] = {}
    for name in dict.fromkeys(name for one, _ in pairs for name in one.said):
        said = [pair for pair in pairs if name in pair[0].said]  # not every predictor knows every subject
        near = [pair for pair in said if _apart(pair) < _NEAR]
        rows[f"order by {name}"] = (
            f"{_share(name, said)} in another order than measured; {_share(name, near)} of those "
            f"less than {_NEAR:.0%} apart"
        )
    return rows


def _apart(pair: tuple[Ranked, Ranked]) -> float:
    return abs(pair[0].measured - pair[1].measured) / max(pair[0].measured, pair[1].measured)


def _share(name: str, pairs: Sequence[tuple[Ranked, Ranked]]) -> str:
    wrong = sum((a.measured - b.measured) * (a.said[name] - b.said[name]) <= 0 for a, b in pairs)
    return f"{wrong} of {len(pairs)} pairs ({wrong / max(1, len(pairs)):.1%})"
