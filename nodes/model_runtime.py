"""One model on an edge node: its plan table, and the halves that run the table's plans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nodes.batch_times import BatchTimes
from nodes.gateway import ModelDescription, TensorDescription
from nodes.halves import EdgeHalf
from nodes.protocol.events import PlanDefinition, WireCodec
from partitioner.graph import TensorInfo
from partitioner.model import Model
from partitioner.plan import Plan, TensorCodec
from partitioner.plan_table import PlanEntry, PlanTable

__all__ = ["ModelRuntime", "ReadyPlan", "describe", "plan_definition"]


@dataclass(frozen=True, slots=True)
class ReadyPlan:
    """A plan that can run: its costs, the edge's half of it, t(B) of its prefix alone, without codecs."""

    entry: PlanEntry
    half: EdgeHalf
    prefix_times: BatchTimes

    def edge_times(self, items: int, expected_s: float) -> BatchTimes:
        """t(B) of all that the edge does up to the wire, where `items` of it are now expected to take `expected_s`.

        What is not the prefix (preprocessing, codecs) is done one by one.
        """
        return self.prefix_times.with_rest(self.entry.costs.edge.at(1)).paced(items, expected_s)


class ModelRuntime:
    """A served model. Its plans are replaced as a whole: a request sees the old table or the new one."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.description = describe(model)
        self._plans: Mapping[str, ReadyPlan] = {}
        self._runnable: tuple[frozenset[str], PlanTable] | None = None
        self.table = PlanTable(model.name, model.digest, ())
        self.wire_digests: frozenset[str] = frozenset()  # of all plans on offer

    def offer(self, plans: tuple[ReadyPlan, ...]) -> None:
        """Serve these plans from now on."""
        self.table = PlanTable(self.model.name, self.model.digest, tuple(plan.entry for plan in plans))
        self._plans = {plan.entry.plan.plan_id: plan for plan in plans}
        self.wire_digests = frozenset(plan.entry.plan.wire_digest for plan in plans)
        self._runnable = None

    def alone_s(self, items: int) -> float:
        """What the edge takes to compute all of a request, as measured, by the quickest plan; 0 without any."""
        costs = [entry.costs for entry in self.table.entries]
        return min((one.edge.at(items) + one.local_finish.at(items) for one in costs), default=0.0)

    @property
    def cloud_required(self) -> bool:
        """Whether the edge must not or cannot finish a request of this model by itself."""
        return self.model.interface.autonomy == "cloud-required"

    def runnable(self, prepared: frozenset[str]) -> PlanTable:
        """The plans that can run where replicas have prepared these wire digests: those, and what needs no cloud."""
        if self._runnable is None or self._runnable[0] != prepared:
            self._runnable = prepared, self.table.able(prepared)
        return self._runnable[1]

    def ready_plan(self, plan_id: str) -> ReadyPlan:
        """The plan of that id, from the table."""
        return self._plans[plan_id]

    @property
    def plans(self) -> tuple[ReadyPlan, ...]:
        """All plans on offer."""
        return tuple(self._plans.values())


def plan_definition(plan: Plan) -> PlanDefinition:
    """What an edge offers a replica so that it can run its half of `plan`."""
    return PlanDefinition(
        wire_digest=plan.wire_digest,
        model_digest=plan.model_digest,
        edge_ops=plan.edge_ops,
        uplink=wire_codecs(plan.boundary),
        downlink=wire_codecs(plan.downlink),
    )


def wire_codecs(tensors: tuple[TensorCodec, ...]) -> tuple[WireCodec, ...]:
    """The codecs of a plan's tensors, without the expected sizes."""
    return tuple(WireCodec(tensor.tensor, tensor.codec, tensor.parameters) for tensor in tensors)


def describe(model: Model) -> ModelDescription:
    """A model as clients see it: public names, dtypes, shapes with the batch dimension as -1."""
    graph, interface = model.graph, model.interface
    return ModelDescription(
        name=model.name,
        version=model.digest[:12],
        inputs=tuple(
            _tensor(spec.name, graph.tensors[name], spec.preprocessing is not None)
            for spec, name in zip(interface.inputs, graph.inputs, strict=True)
        ),
        outputs=tuple(
            _tensor(spec.name, graph.tensors[name], labels=spec.labels)
            for spec, name in zip(interface.outputs, graph.outputs, strict=True)
        ),
        max_batch=interface.max_batch,
    )


def _tensor(
    name: str, info: TensorInfo, accepts_files: bool = False, labels: tuple[str, ...] = ()
) -> TensorDescription:
    shape = tuple(-1 if dimension.per_item else dimension.fixed for dimension in info.shape)
    return TensorDescription(name, info.dtype, shape, accepts_files, labels)
