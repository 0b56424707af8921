"""A plan table from two profiles: what simulations of a fleet go by before any node of it runs.

A live edge times its half of every plan and each replica the other. Here the times are those of the profiles: whole
segments where they were measured, else sums of op times scaled to measured segments (`op_calibration`); how they grow
with the batch is what the whole model was measured to do on that device (`growth`), the roofline where it was not.
Where more sizes were measured than a line needs, all of them go along: batches need not follow a line.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from partitioner.affine_fit import affine_time
from partitioner.batch_law import batch_law
from partitioner.codec_choice import FILE_CODEC, CodecQuote
from partitioner.cost_model import ModelCosts, ModelFacts, model_costs
from partitioner.measured_halves import measured_half_s
from partitioner.measurements import AffineTime, Half
from partitioner.plan import Plan, TensorCodec
from partitioner.plan_table import Accuracy, Curve, PlanCosts, PlanEntry, PlanTable
from partitioner.profiles import DeviceProfile
from partitioner.setting import Setting

__all__ = ["profiled_table"]

_BATCHES = (1, 2)
# Two sizes are a line, which the costs hold already.
_LEAST_SIZES = 3


def _every_half_joins(plan: Plan, half: Half) -> bool:
    return True


def profiled_table(
    model: ModelFacts,
    setting: Setting,
    plans: Iterable[tuple[Plan, Accuracy | None]],
    joins: Callable[[Plan, Half], bool] = _every_half_joins,
) -> PlanTable:
    """The plans of `model` with their costs on the setting's two devices, each with its accuracy (None: lossless).

    The plans must have been made in this setting: their codecs are among its costing's. Of the link nothing counts.
    joins: whether a half may run as one for several requests, of which profiles say nothing.
    """
    costing = replace(setting.costing, edge_load=1.0, cloud_load=1.0)
    costs = {
        batch: model_costs(model, setting.edge, setting.cloud, setting.link, replace(costing, batch=batch))
        for batch in _BATCHES
    }
    maker = _Entries(model, setting, costs, joins)
    return PlanTable(model.name, model.digest, tuple(maker.entry(*one) for one in plans))


@dataclass(frozen=True, slots=True)
class _Stages:
    """Of one plan at one batch: seconds of each side and bytes, files not counted."""

    edge_s: float
    cloud_s: float
    finish_s: float
    up_bytes: int
    down_bytes: int


@dataclass(frozen=True, slots=True)
class _Entries:
    model: ModelFacts
    setting: Setting
    costs: Mapping[int, ModelCosts]
    joins: Callable[[Plan, Half], bool]

    def entry(self, plan: Plan, accuracy: Accuracy | None) -> PlanEntry:
        """A plan with its costs."""
        stages = {batch: self._stages(plan, batch) for batch in _BATCHES}
        one, two = (stages[batch] for batch in _BATCHES)
        edge, cloud = self.setting.edge, self.setting.cloud
        costs = PlanCosts(
            edge=_line({batch: each.edge_s for batch, each in stages.items()}),
            cloud=_line({batch: each.cloud_s for batch, each in stages.items()}),
            uplink_bytes_fixed=max(0, 2 * one.up_bytes - two.up_bytes),
            uplink_bytes_per_item=float(max(0, two.up_bytes - one.up_bytes)),
            downlink_bytes_fixed=max(0, 2 * one.down_bytes - two.down_bytes),
            downlink_bytes_per_item=float(max(0, two.down_bytes - one.down_bytes)),
            local_finish=_line({batch: each.finish_s for batch, each in stages.items()}),
            edge_spread=_spread(self.model, edge),
            cloud_spread=_spread(self.model, cloud),
            prefix_s=self._curve(edge, "prefix", plan),
            suffix_s=self._curve(cloud, "suffix", plan),
        )
        file_crosses = any(tensor.codec == FILE_CODEC for tensor in plan.boundary)
        return PlanEntry(replace(plan, predicted=None, provenance={}), costs, file_crosses, accuracy)

    def _stages(self, plan: Plan, batch: int) -> _Stages:
        costs = self.costs[batch]
        files = [tensor.tensor for tensor in plan.boundary if tensor.codec == FILE_CODEC]
        up = [self._quote(costs, tensor) for tensor in plan.boundary]
        down = [_matching(costs.downlink[tensor.tensor], tensor) for tensor in plan.downlink]
        cut = costs.with_preprocessing(plan.edge_ops, files)
        pseudo = costs.edge_s.keys() - costs.model_ops(costs.edge_s)
        beside_edge = [costs.edge_s[name] for name in pseudo if name in cut]
        beside_cloud = [costs.cloud_s[name] for name in pseudo if name not in cut]
        late_preprocessing = [costs.edge_s[name] for name in pseudo if name not in cut]
        prefix_s = self._half_s(self.setting.edge, "prefix", plan, batch)
        suffix_s = self._half_s(self.setting.cloud, "suffix", plan, batch)
        finish_s = self._half_s(self.setting.edge, "suffix", plan, batch)
        return _Stages(
            edge_s=math.fsum((prefix_s, *beside_edge, *(q.encode_s for q in up), *(q.decode_s for q in down))),
            cloud_s=math.fsum((suffix_s, *beside_cloud, *(q.decode_s for q in up), *(q.encode_s for q in down))),
            finish_s=math.fsum((finish_s, *late_preprocessing)),
            up_bytes=sum(quote.wire_bytes for quote in up if quote.size.codec != FILE_CODEC),
            down_bytes=sum(quote.wire_bytes for quote in down),
        )

    def _quote(self, costs: ModelCosts, tensor: TensorCodec) -> CodecQuote:
        if tensor.codec == FILE_CODEC:
            return costs.file_quote(tensor.tensor)
        return _matching(costs.uplink[tensor.tensor], tensor)

    def _ops(self, half: Half, plan: Plan) -> Sequence[str]:
        edge_ops = set(plan.edge_ops)
        return [op.name for op in self.model.graph.ops if (op.name in edge_ops) == (half == "prefix")]

    def _curve(self, device: DeviceProfile, half: Half, plan: Plan) -> Curve:
        """Seconds by size of a batch, as the whole model's grow: one item alone where nothing is joined, nothing where
        too few sizes were measured."""
        if not self._ops(half, plan):
            return ()
        one_s = self._half_s(device, half, plan, 1)
        if not self.joins(plan, half):
            return ((1, one_s),)
        law = batch_law(device, self.model.digest, len(self.model.graph.ops))
        if law is None or 1 not in law.seconds or len(law.seconds) < _LEAST_SIZES:
            return ()
        whole_s = law.seconds[1]
        return tuple((size, one_s * took_s / whole_s) for size, took_s in law.seconds.items())

    def _half_s(self, device: DeviceProfile, half: Half, plan: Plan, batch: int) -> float:
        """Of the whole segment as measured, else the sum of its ops."""
        digest, ops = self.model.digest, self._ops(half, plan)
        if not ops:
            return 0.0
        measured_s = measured_half_s(device, digest, half, plan.edge_ops, 1)
        one_s = self._sum_s(device, ops, 1) if measured_s is None else measured_s
        return one_s if batch == 1 else one_s * self._growth(device, ops, batch)

    def _growth(self, device: DeviceProfile, ops: Sequence[str], batch: int) -> float:
        """How many times as long as one item a batch takes: as the whole model does, by its ops where nobody knows."""
        whole = device.growth(self.model.digest, len(self.model.graph.ops), 1, batch)
        return self._sum_s(device, ops, batch) / self._sum_s(device, ops, 1) if whole is None else whole

    def _sum_s(self, device: DeviceProfile, ops: Sequence[str], batch: int) -> float:
        seconds = device.op_seconds(self.model.graph, self.model.digest, batch)
        return math.fsum(seconds[name] for name in ops)


def _matching(quotes: Iterable[CodecQuote], tensor: TensorCodec) -> CodecQuote:
    """The quote that the plan took."""
    return next(quote for quote in quotes if quote.named(tensor.tensor).key == tensor.key)


def _line(seconds: Mapping[int, float]) -> AffineTime:
    return affine_time({float(batch): took for batch, took in seconds.items()})


def _spread(model: ModelFacts, device: DeviceProfile) -> float:
    """By how much repeats of the whole model differed there; 0 where nobody measured."""
    times = device.op_times_of(model.digest)
    return max((one.whole.spread_share for one in times), default=0.0)
