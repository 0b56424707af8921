"""The plans of an edge's models for each kind of cloud: remembered from an earlier start, else measured now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from isthmus.errors import ComputeFailed
from isthmus.telemetry import get_logger
from nodes.background import run_apart
from nodes.edge_memory import NO_MEMORY, CloudKind, EdgeMemory, MeasuredPlan
from nodes.edge_times import EdgeTimes, with_edge_times
from nodes.halves import EdgeHalf
from nodes.model_runtime import ReadyPlan
from nodes.plan_builder import PlanBuilder, PlanDraft
from nodes.preparing import PreparingWork
from nodes.sample_inputs import sample_inputs
from nodes.settings import COMPILING_ENGINES
from partitioner.plan import CodecKey, Plan
from partitioner.profiles import DeviceProfile

__all__ = ["PlanSource"]


@dataclass(frozen=True, slots=True)
class _Known:
    """The plans for one kind of cloud. whole: whether none is missing that failed here."""

    kind: CloudKind
    ready: tuple[ReadyPlan, ...]
    whole: bool = True


class PlanSource:
    """Measures in the pool that serves, one plan at a time: requests that come meanwhile wait for no more than that."""

    def __init__(self, work: PreparingWork, profile: DeviceProfile, memory: EdgeMemory = NO_MEMORY) -> None:
        """work: in the pool that serves. profile: this device, with the op times of every model."""
        self._work = work
        self.profile = profile
        self._memory = memory
        self._measured: dict[tuple[str, str, str, str], _Known] = {}

    def forget(self, name: str, but: str = "") -> None:
        """Let go of what the plans of that model hold, of the version with the digest `but` not."""
        self._measured = {key: known for key, known in self._measured.items() if key[0] != name or key[1] == but}

    async def edge_only(self, builder: PlanBuilder) -> tuple[ReadyPlan, ...]:
        """The plans that need no cloud; none of a model that must have one."""
        if builder.model.interface.autonomy == "cloud-required":
            return ()
        known = await self._remembered(builder, None)
        if known:
            return known
        await run_apart(builder.prepare, [tuple(op.name for op in builder.model.graph.ops)])
        ready = await self._work.run(("edge-only", builder.model.name), builder.edge_only)
        await self._remember(builder, None, ready)
        return ready

    async def with_cloud(self, builder: PlanBuilder, cloud: DeviceProfile) -> tuple[ReadyPlan, ...]:
        """The plans for clouds of that profile, with this side measured; kept for the next replica."""
        # Of other engines what the cloud tells decides nothing, and is a little different on each replica.
        told = cloud.engine_differences.get(builder.model.digest) if cloud.engine in COMPILING_ENGINES else None
        kind = CloudKind(cloud.name, cloud.engine, cloud.threads, told)
        key = builder.model.name, builder.model.digest, cloud.name, cloud.engine
        if key not in self._measured:
            remembered = await self._remembered(builder, kind)
            self._measured[key] = _Known(kind, remembered) if remembered else await self._measure(builder, cloud, kind)
        return self._measured[key].ready

    async def timed_again(
        self, builder: PlanBuilder, edge_only: Sequence[ReadyPlan], times: Mapping[str, EdgeTimes]
    ) -> None:
        """Take fresh times of plans, by plan id, for the replicas and the starts to come. edge_only: as now offered."""
        if edge_only:
            await self._remember(builder, None, edge_only)
        for key, known in tuple(self._measured.items()):
            if key[:2] == (builder.model.name, builder.model.digest):
                fresh = replace(known, ready=with_edge_times(known.ready, times))
                self._measured[key] = fresh
                if fresh.whole:
                    await self._remember(builder, known.kind, fresh.ready)

    async def _measure(self, builder: PlanBuilder, cloud: DeviceProfile, kind: CloudKind) -> _Known:
        """A plan whose half raises here is not offered, nor a cut where calibrating does, and nothing is remembered for
        the next start, which tries it again."""
        ready: dict[str, ReadyPlan] = {}
        drafts, whole = await run_apart(self._drafts, builder, cloud)
        for draft in drafts:
            try:
                make = partial(builder.ready, draft, kind.engine, kind.told)
                plans = await self._work.run(("plan", builder.model.name), make)
            except ComputeFailed as error:
                get_logger("edge").warning("plan not offered", plan_id=draft.plan.plan_id, reason=str(error))
                whole = False
                continue
            for plan in plans:
                ready.setdefault(plan.entry.plan.plan_id, plan)
        found = _Known(kind, tuple(ready.values()), whole)
        if whole:
            await self._remember(builder, kind, found.ready)
        return found

    def _drafts(self, builder: PlanBuilder, cloud: DeviceProfile) -> tuple[list[PlanDraft], bool]:
        """The plans for a cloud of that profile, compiled and calibrated, and whether those of every cut are there."""
        cuts = builder.candidates(self.profile, cloud)
        builder.prepare(cuts)
        drafts, whole = [*builder.unsplit(), *builder.given()], True
        for cut in cuts:
            try:
                drafts.extend(builder.split(cut))
            except Exception:  # whatever a model's own ops raise as they are calibrated: it costs this cut alone
                get_logger("edge").exception("cut not offered", edge_ops=len(cut))
                whole = False
        return drafts, whole

    async def _remember(self, builder: PlanBuilder, kind: CloudKind | None, ready: Sequence[ReadyPlan]) -> None:
        await run_apart(self._memory.keep_plans, builder.identity, kind, ready)

    async def _remembered(self, builder: PlanBuilder, kind: CloudKind | None) -> tuple[ReadyPlan, ...]:
        """Made ready to run again, nothing timed. What an engine compiles is compiled, or found in its own cache."""
        found = await run_apart(self._memory.plans, builder.identity, kind)
        await run_apart(builder.prepare, {one.entry.plan.edge_ops for one in found})
        halves = _Halves(builder)
        again = "again", builder.model.name
        return tuple([await self._work.run(again, partial(halves.ready, one)) for one in found])


class _Halves:
    """Plans that differ in the form of their inputs only share their half, as those that were measured do."""

    def __init__(self, builder: PlanBuilder) -> None:
        self._builder = builder
        self._made: dict[tuple[object, ...], EdgeHalf] = {}

    def ready(self, measured: MeasuredPlan) -> ReadyPlan:
        """It runs once, so that its first request is no slower than others."""
        plan = measured.entry.plan
        key = (plan.edge_ops, _keys(plan), measured.early)
        if key not in self._made:
            half = self._builder.half(plan, measured.early)
            crossing = half.file_inputs
            half.finish_locally(half.run(sample_inputs(self._builder.model, 1, crossing)))
            self._made[key] = half
        return ReadyPlan(measured.entry, self._made[key], measured.prefix_times)


def _keys(plan: Plan) -> tuple[CodecKey, ...]:
    return tuple(tensor.key for tensor in (*plan.boundary, *plan.downlink))
