"""Plans that keep an accuracy budget, each tensor in the codec that suits it, calibrated ones included.

A calibration costs seconds, so only what could win is calibrated: what nobody measured yet is taken to be about as good
as on the nearest tensor that was, the solver says which tensors it would then use, those are measured, and so on
until it uses nothing else. A finished plan is measured as a whole; one over the budget is solved again without its
worst codec at any cut. That last step is a heuristic: codecs that are harmless alone may add up in more ways than one,
so the rule then says that it is `pruned`, and nothing is proven best.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from isthmus.errors import InfeasibleCut, InvalidModel
from nodes.codecs.factory import LOSSLESS_CODEC_NAMES
from nodes.codecs.transform import TransformCodec
from nodes.measure.codec_effort import size_with_effort
from nodes.measure.codec_findings import CodecFindings
from nodes.measure.codec_sizes import MeasuredCodec, takes_transform
from nodes.measure.engine_loss import NO_LOSS, EngineLoss
from partitioner.accuracy_rule import AccuracyTable
from partitioner.codec_choice import CodecSize
from partitioner.constraints import Constraints
from partitioner.cost_model import Costing
from partitioner.graph import TensorInfo
from partitioner.model import Model, has_judged_items
from partitioner.plan import CodecKey, Plan, TensorCodec
from partitioner.plan_table import Accuracy

__all__ = ["AccuracyBudget", "Judged"]

FIRST_RATIO = 0.08
"""Of a tensor's bytes: what a transform codec may reach where none was calibrated yet. It made 0.1 to 0.12 of
efficientnet-lite0's and MiniLM's hidden states."""

_HOPE = 0.9  # of what it reached on the nearest tensor, if that has another shape
Solve = Callable[[Costing], Sequence[Plan]]
"""The plans that a solver takes under a costing."""
Found = TypeVar("Found")
"""What a solver finds: plans, and what it says of them."""


@dataclass(frozen=True, slots=True)
class Judged(Generic[Found]):
    """What a solver found under a costing, as it was judged: a second search may find other plans once its time is
    over."""

    costing: Costing
    found: Found


@dataclass(frozen=True, slots=True)
class _Known:
    """What the searches know by now: codecs by tensor, an input's as a picture apart, and the loss of each alone, or
    infinity where a plan broke the budget by it: `taken_out`. over: losses that were too large, of codecs alone and of
    plans.
    """

    codecs: dict[str, tuple[MeasuredCodec, ...]]
    pictures: dict[str, tuple[MeasuredCodec, ...]]
    losses: dict[CodecKey, float]
    over: list[float]
    taken_out: set[CodecKey]


class AccuracyBudget:
    """The most that lossy codecs may lose of a model's answers, as measured on its calibration inputs."""

    def __init__(
        self, model: Model, budget: float, engines: EngineLoss = NO_LOSS, findings: CodecFindings | None = None
    ) -> None:
        """engines: what they take of the budget before any codec does. Where both sides' together break it, one side
        runs the whole model. findings: those of other budgets of this model, which it shares and adds to.

        Raises InvalidInput for a budget outside 0 to 1, InfeasibleCut for one that each side's engine breaks alone.
        """
        table, charged, said = AccuracyTable(budget, {}), engines.charged(budget), engines.said(budget)
        self.words = f"{table.words} ({said})" if said else table.words
        if charged > budget:
            raise InfeasibleCut(self.words, "is broken without any codec", remedy="allow more, or use engine eager")
        judged = has_judged_items(model)
        self._without = "no calibration inputs" + (" that begin with the batch" if model.calibration else "")
        blind = "" if judged else f" ({self._without})"
        self._table = replace(table, budget=budget - charged, words=f"{self.words}{blind}")
        self._sides = Constraints(whole_on=engines.whole_on(budget), whole_words=self._table.words)
        self._model = model
        self._findings = findings or CodecFindings(model) if judged else None
        self._found = _Known({}, {}, {}, [], set())
        specs = model.interface.inputs
        self._preprocessing = {spec.name: spec.preprocessing for spec in specs if spec.preprocessing is not None}
        self._places = {op.name: place for place, op in enumerate(model.graph.ops)}

    def keep(
        self,
        costing: Costing,
        solve: Callable[[Costing], Found],
        plans_of: Callable[[Found], Sequence[Plan]],
        nominate: Solve | None = None,
    ) -> Judged[Found]:
        """`costing` with the codecs as measured, and what `solve` found under it, all plans of which keep the budget.

        nominate: says what is worth measuring, where that is less than all plans of `solve`. Without calibration inputs
        no lossy codec is allowed.
        """
        costing = self.constrained(costing)
        if self._findings is None:
            blind = replace(costing, accuracy=self.rule)
            return Judged(blind, solve(blind))
        if costing.form == "bytes":
            self._learn_pictures(self._findings)
        while True:
            hopeful = self._hopeful(costing)
            if self._learn(costing, plans_of(solve(hopeful)) if nominate is None else nominate(hopeful)):
                continue
            kept = self._measured(costing)
            found = solve(kept)
            refused = [self._refuse(plan) for plan in plans_of(found)]  # all are measured in any case
            if not any(refused):
                return Judged(kept, found)

    def constrained(self, costing: Costing) -> Costing:
        """`costing` without the plans whose engines break the budget."""
        if not self._sides.whole_on:
            return costing
        return replace(costing, constraints=costing.constraints.joined(self._sides))

    @property
    def rule(self) -> AccuracyTable:
        """The budget, and all that was found of codecs by now."""
        return replace(self._table, losses=dict(self._found.losses), pruned=bool(self._found.taken_out))

    @property
    def left(self) -> float:
        """What the engines leave to the codecs."""
        return self._table.budget

    @property
    def why_unused(self) -> str:
        """Why no lossy codec is allowed after a search, in words; "" where one is, and where none could have won."""
        if self._findings is None:
            remedy = "" if self._model.calibration else " (isthmus import --calibration)"
            return f"not used: {self._without}{remedy}"
        budget, losses = self._table.budget, self._found.losses
        lossy = [loss for (_, name, _), loss in losses.items() if name not in LOSSLESS_CODEC_NAMES]
        tried = self._found.codecs or self._found.pictures
        if not tried or any(loss <= budget for loss in lossy):
            return ""
        # One that breaks its share of the budget beside other tensors may be below the whole of it.
        over = [loss for loss in self._found.over if loss > budget]
        return "kept by no codec" + (f": the best found costs {min(over):.3g}" if over else "")

    def codecs_at(self, edge_ops: Sequence[str]) -> Mapping[str, tuple[MeasuredCodec, ...]]:
        """Codecs of every floating tensor that crosses there: lossless ones, and of those that alone keep the budget
        int8 and the smallest.

        Empty without calibration inputs. Takes seconds a tensor, once.
        """
        if self._findings is None:
            return {}
        tensors = self._model.graph.tensors
        crossing = [name for name in self._model.graph.boundary(edge_ops) if _is_floating(tensors[name])]
        for name in crossing:
            if name not in self._found.codecs:
                self._measure(name, edge_ops, smallest=True)
        return {name: self._found.codecs[name] for name in crossing}

    def accuracy(self, plan: Plan) -> Accuracy | None:
        """Of a plan as a whole; None for a lossless one. Raises InvalidModel without calibration inputs."""
        lossy = _lossy(plan)
        if not lossy:
            return None
        if self._findings is None:
            raise InvalidModel("calibration", "is empty", remedy="give the ModelSpec some calibration inputs")
        return self._findings.together(plan.edge_ops, lossy)

    # ---- what the solver is told -------------------------------------------------------------------------------

    def _measured(self, costing: Costing) -> Costing:
        found = [one for codecs in self._found.codecs.values() for one in codecs]
        if costing.form == "bytes":
            found += [one for codecs in self._found.pictures.values() for one in codecs]
        sizes = [size_with_effort(one, self._preprocessing.get(one.tensor)) for one in found]
        again = {(size.tensor, size.codec) for size in sizes}
        others = (size for size in costing.codecs if (size.tensor, size.codec) not in again)
        return replace(costing, codecs=(*others, *sizes), lossless=False, accuracy=self.rule)

    def _hopeful(self, costing: Costing) -> Costing:
        """The same with what nobody measured yet allowed."""
        known = self._measured(costing)
        table = replace(self.rule, unmeasured=True)
        return replace(known, codecs=(*known.codecs, *self.hopes()), accuracy=table)

    def hopes(self) -> Iterator[CodecSize]:
        """A size of the transform codec for each tensor that could take one and was not calibrated yet."""
        reached = self._reached()
        for tensor in self._model.graph.tensors.values():
            if tensor.name not in self._found.codecs and takes_transform(tensor):
                place = self._place(tensor.producer)
                nearest = min(reached, key=lambda one: abs(one - place), default=None)
                ratio = FIRST_RATIO if nearest is None else _hoped(tensor, *reached[nearest])
                said = "hoped for: not calibrated"
                yield CodecSize(TransformCodec.name, ratio, False, said, applies_to="floating", tensor=tensor.name)

    def _reached(self) -> Mapping[int, tuple[TensorInfo, float]]:
        """Each tensor with a calibrated transform codec, and its ratio, by place."""
        tensors = self._model.graph.tensors
        return {
            self._place(tensors[one.tensor].producer): (tensors[one.tensor], one.size.ratio)
            for codecs in self._found.codecs.values()
            for one in codecs
            if one.codec.name == TransformCodec.name
        }

    def _place(self, producer: str | None) -> int:
        return -1 if producer is None else self._places[producer]

    # ---- what is measured --------------------------------------------------------------------------------------

    def _learn(self, costing: Costing, plans: Sequence[Plan]) -> bool:
        """Measure the tensors that `plans` would code with losses and nobody measured yet; whether there were any."""
        lossy = {size.codec for size in costing.codecs if not size.lossless} | {TransformCodec.name}
        new: dict[str, Plan] = {}
        for plan in plans:
            for tensor in plan.boundary:
                if tensor.codec in lossy and tensor.tensor not in self._found.codecs:
                    new.setdefault(tensor.tensor, plan)
        for name, plan in new.items():
            self._measure(name, plan.edge_ops)
            # A codec that was not found to keep the budget loses too much, under whatever parameters it was assumed.
            assumed = {(name, one, ()): math.inf for one in lossy}
            self._found.losses.update({key: loss for key, loss in assumed.items() if key not in self._found.losses})
        return bool(new)

    def _learn_pictures(self, findings: CodecFindings) -> None:
        """Measure the lossy pictures of every input that files can make, once."""
        for name in self._preprocessing:
            if name not in self._found.pictures:
                self._found.pictures[name] = found = findings.pictures(name, self._table.budget)
                self._found.losses.update({one.key: one.loss for one in found})

    def _measure(self, tensor: str, edge_ops: Sequence[str], *, smallest: bool = False) -> None:
        """The codecs of `tensor` at that cut, `smallest` as of `lossy_codecs`; its share of the budget is that of one
        of several.
        """
        assert self._findings is not None
        graph = self._model.graph
        sharing = sum(takes_transform(graph.tensors[name]) for name in graph.boundary(edge_ops))
        share = self._table.budget / max(1, sharing)
        found = self._findings.tensor(tensor, edge_ops, share, smallest=smallest)
        if found.over is not None:
            self._found.over.append(found.over)
        self._found.codecs[tensor] = found.codecs
        self._found.losses.update({one.key: one.loss for one in found.codecs})

    def _refuse(self, plan: Plan) -> bool:
        """Forbid the worst codec of a plan that loses more than the budget as a whole; whether it did."""
        found = self.accuracy(plan)
        if found is None or 1.0 - found.value <= self._table.budget:
            return False
        worst = max(_lossy(plan), key=lambda tensor: self._found.losses[tensor.key])
        self._found.losses[worst.key] = math.inf
        self._found.taken_out.add(worst.key)
        self._found.over.append(1.0 - found.value)
        return True


def _hoped(tensor: TensorInfo, known: TensorInfo, ratio: float) -> float:
    """Of `tensor`, where the nearest that was calibrated reached `ratio`. Of one shape are those before and after a
    normalisation or a sum, of which one is as good as the other.
    """
    return ratio if tensor.shape == known.shape else _HOPE * ratio


def _lossy(plan: Plan) -> list[TensorCodec]:
    return [tensor for tensor in plan.boundary if tensor.codec not in LOSSLESS_CODEC_NAMES]


def _is_floating(tensor: TensorInfo) -> bool:
    return tensor.dtype.startswith(("float", "bfloat"))
