"""The edge node: serves requests, by itself at first and with the cloud as soon as a replica is prepared."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from isthmus.errors import CloudUnavailable, DeadlineExceeded, Draining
from isthmus.telemetry import get_logger
from nodes.accepted_request import Surroundings
from nodes.admission import Arriving, because_of_others, depth_of, sooner_s
from nodes.admission_gate import AdmissionGate, Admitted
from nodes.byte_budget import MOST_KEPT_BYTES, ByteBudget
from nodes.chooser import Choice, ChoiceRequest, Chooser, Outcome, StageTimes
from nodes.edge_memory import NO_MEMORY, EdgeMemory
from nodes.edge_times import QuietTimer
from nodes.edge_work import edge_work
from nodes.engines.held_weights import engines_bytes
from nodes.gateway import UNDECIDED, Decided, InferRequest, InferResult, ModelDescription, ModelState, new_request_id
from nodes.guarded_connection import GuardedConnection
from nodes.hedging import Hedging
from nodes.lesson_pace import LessonPace
from nodes.limits import EDGE_LIMITS, NodeLimits
from nodes.model_planning import ModelPlanning
from nodes.model_runtime import ModelRuntime, ReadyPlan
from nodes.model_shelf import LoadedModel, ModelShelf
from nodes.plan_source import PlanSource
from nodes.prefix_queue import PrefixQueue
from nodes.replica_set import Dial, ReplicaSet
from nodes.replica_state import standings_told
from nodes.replica_wait import awaited_replica
from nodes.request_ends import outcome_of, refusal
from nodes.request_overhead import NOT_MEASURED, RequestOverhead
from nodes.request_run import Answer, RequestRun
from nodes.resume_schedule import ResumeSchedule
from nodes.resumption import ResumeCounts
from nodes.turn import Turn
from partitioner.link import Link
from partitioner.plan_table import PlanEntry
from partitioner.profiles import DeviceProfile

__all__ = ["EdgeNode"]

ENDING_S = 1.0
"""What requests that are ended may take for it."""


class EdgeNode:
    """Implements Gateway. Make it, `start` it, feed its replica set with fleet views, `drain` it."""

    def __init__(
        self, shelf: ModelShelf, profile: DeviceProfile, chooser: Chooser, queue: PrefixQueue, dial: Dial,
        most_kept_bytes: int = MOST_KEPT_BYTES, limits: NodeLimits = EDGE_LIMITS,
        hedging: Hedging | None = None, memory: EdgeMemory = NO_MEMORY,
    ) -> None:  # fmt: skip
        """profile: this device, with the op times of every model. most_kept_bytes: of boundary tensors that wait for
        their answers, and inputs that wait for a replica. hedging: None for none. memory: of plans that were measured
        at an earlier start."""
        self._shelf = shelf
        self._limits = limits
        self._planning = ModelPlanning(shelf, PlanSource(queue.planning, profile, memory), dial)
        self._chooser = chooser
        self._queue = queue
        self._waiting = 0
        self._asked_s = -math.inf  # when the last request ended
        self._under_way: set[asyncio.Timeout] = set()
        self._draining = self._out_of_time = False
        self._started = False
        self._idle = asyncio.Event()
        self._idle.set()
        self.want_cloud: Callable[[], None] = lambda: None  # called where a replica is of use and none is in the view
        self.overhead: RequestOverhead = NOT_MEASURED  # until whoever hosts the node has asked it something
        self.kept = ByteBudget(most_kept_bytes, "edge.kept_memory")
        self.decisions: dict[tuple[str, str], int] = {}  # by policy and plan kind
        self.without_replica = 0  # requests that might have used one
        self._counts = ResumeCounts()
        self._lessons = LessonPace()
        self._around = Surroundings(
            self._queue, self.replicas, chooser, ResumeSchedule(), self.kept, self._counts, itertools.count(1),
            chooser.way_up(), hedging or Hedging(),
        )  # fmt: skip
        self.gate = AdmissionGate(chooser.admission(limits.queue, depth_of(queue.most_batched)))
        self._log = get_logger("edge")

    async def start(self) -> None:
        """Measure and offer the plans that need no cloud; from then on requests are served."""
        await self._planning.start()
        self._started = True

    # ---- serving -----------------------------------------------------------------------------------------------

    def ready(self) -> bool:
        """See Gateway."""
        return self._started and not self._draining

    def describe_model(self, name: str) -> ModelDescription:
        """See Gateway."""
        return self._shelf.runtime(name).description

    def models(self) -> tuple[ModelState, ...]:
        """See Gateway."""
        return self._shelf.states()

    def runtime(self, name: str) -> ModelRuntime:
        """A loaded model, with its plans. Raises NotFound."""
        return self._shelf.runtime(name)

    def plans(self) -> tuple[ReadyPlan, ...]:
        """On offer, of all loaded models."""
        return tuple(plan for runtime in self._shelf.runtimes.values() for plan in runtime.plans)

    @property
    def engine_bytes(self) -> int:
        """Copies of weights that the engines of loaded models hold."""
        return engines_bytes(builder.engine for builder in self._shelf.builders.values())

    @property
    def waiting(self) -> int:
        """Requests that were accepted and have no answer yet."""
        return self._waiting

    @property
    def quiet_s(self) -> float:
        """For how long no request has been here; 0 while one is."""
        return 0.0 if self._waiting else time.monotonic() - self._asked_s

    @property
    def profile(self) -> DeviceProfile:
        """This device, with the op times of every model."""
        return self._planning.plans.profile

    def measured(self, profile: DeviceProfile) -> None:
        """This device again, with the op times of another model: the cuts of plans to come are chosen by it."""
        self._planning.plans.profile = profile

    @property
    def digests(self) -> Mapping[str, str]:
        """Of the version of each configured model, by name."""
        return self._shelf.digests

    @property
    def planned(self) -> asyncio.Event:
        """Set once some replica's plans are on offer."""
        return self._planning.planned

    @property
    def replicas(self) -> ReplicaSet:
        """To feed with fleet views."""
        return self._planning.replicas

    @property
    def queue(self) -> PrefixQueue:
        """What waits for this device's compute."""
        return self._queue

    @property
    def link(self) -> Link | None:
        """As now believed, None before anything was measured."""
        return self._chooser.link()

    async def infer(self, request: InferRequest) -> InferResult:
        """See Gateway."""
        runtime = self._shelf.runtime(request.model)
        if self._draining:
            raise Draining("this edge is draining; send the request again elsewhere")
        request = self._settled(request)
        self._waiting += 1
        self._idle.clear()
        limit = asyncio.timeout(request.timeout_s)  # whatever is still queued then is dropped there
        self._under_way.add(limit)
        try:
            async with limit:
                return await self._let_in(runtime, request)
        except TimeoutError:
            if self._out_of_time:
                raise Draining("this edge ends before an answer was there; send the request again elsewhere") from None
            raise DeadlineExceeded("the deadline passed before an answer was there; allow more time") from None
        finally:
            self._under_way.discard(limit)
            self._waiting -= 1
            self._asked_s = time.monotonic()
            if not self._waiting:
                self._idle.set()

    def _settled(self, request: InferRequest) -> InferRequest:
        """With its id, and the deadline of whoever decides for it where that is sooner than its own, which is kept
        beside it: another policy may allow more."""
        timeout_s, asked_s, canary = request.timeout_s, request.timeout_s, False
        if not (request.policy or request.plan_id):
            terms = self._chooser.arrives(request.model, request.request_class)
            timeout_s, canary = sooner_s(timeout_s, terms.timeout_s), terms.canary
        request_id = request.request_id or new_request_id()
        return request._replace(request_id=request_id, timeout_s=timeout_s, asked_s=asked_s, canary=canary)

    async def _let_in(self, runtime: ModelRuntime, request: InferRequest) -> InferResult:
        came_s, timeout_s = time.monotonic(), request.timeout_s
        deadline_s = None if timeout_s is None else came_s + timeout_s
        cost_s = runtime.alone_s(request.inputs.batch)
        arriving = Arriving(
            request.client, request.priority, deadline_s, cost_s, request.model, forced=bool(request.plan_id)
        )
        try:
            admitted = await self.gate.enter(arriving)
        except BaseException as error:
            self._refused(request, came_s, error)
            raise
        try:
            return await self._answer(runtime, request, came_s, admitted)
        finally:
            admitted.leave()

    async def _answer(
        self, runtime: ModelRuntime, request: InferRequest, came_s: float, admitted: Admitted
    ) -> InferResult:
        turn, alone = Turn(admitted, came_s, time.monotonic(), request.timeout_s), self._waiting == 1
        batch, choose_replica = request.inputs.batch, self._chooser.choose_replica

        def pick() -> GuardedConnection | None:
            return self.replicas.pick(runtime.wire_digests, choose_replica, batch)  # of now: plans come and go

        connection = pick()
        waits = connection is None and runtime.cloud_required and bool(self.replicas.seen)
        if waits:
            connection = await self._awaited(runtime, request, turn, pick)
            turn, alone = turn._replace(began_s=time.monotonic()), False
        try:
            asked = self._asked(runtime, request, turn, connection)
            if connection is None and not waits:
                self._without_replica(asked)
            choice = self._chosen(runtime, request.model, asked, connection)
        except Exception as error:  # also a fault in a policy of somebody's own
            self._turned_away(request, turn, connection, error)
            raise
        admitted.placed(edge_work(choice, asked, turn.due_s))
        plan = choice.entry.plan
        decided = Decided("fixed" if _names_plan(request) else choice.policy, plan.kind)
        self.decisions[decided] = self.decisions.get(decided, 0) + 1
        request.decided(decided)
        if plan.kind == "edge-only":
            if connection is not None:
                connection.stayed()
            connection = None
        elif connection is None or not connection.runs(plan.wire_digest):  # else the one whose wait was predicted with
            connection = self.replicas.pick((plan.wire_digest,), choose_replica, batch)
        ready = runtime.ready_plan(plan.plan_id)
        run = RequestRun(
            request, choice, ready, self._around, cloud_required=runtime.cloud_required,
            came_s=turn.came_s, admitted=admitted,
        )  # fmt: skip
        try:
            answer = await run.run(connection)
        except BaseException as error:
            self._chooser.observe_outcome(Outcome(asked.request_id, failure=str(error) or type(error).__name__))
            raise
        # Once the answer is on its way: a client does not wait for what the next one gains.
        alone = alone and self._waiting == 1
        asyncio.get_running_loop().call_soon(self._learn, asked, choice.entry, answer, alone)
        return InferResult(
            request_id=asked.request_id,
            outputs=answer.outputs,
            plan_id=plan.plan_id,
            timings=answer.timings,
            wire_bytes=answer.wire_bytes,
            finished_by=answer.finished_by,
            reason=choice.reason,
            predicted=choice.predicted,
            plan_kind=plan.kind,
            policy=decided.policy,
            waited_s=turn.waited_s,
        )

    async def _awaited(
        self, runtime: ModelRuntime, request: InferRequest, turn: Turn, pick: Callable[[], GuardedConnection | None]
    ) -> GuardedConnection | None:
        """See `awaited_replica`."""
        try:
            self._without_replica(self._asked(runtime, request, turn, None))  # now: it may wait for long
            found = await awaited_replica(self._around, pick, turn, request.inputs.size_bytes)
        except BaseException as error:  # whose client left meanwhile has had no decision either
            self._refused(request, turn.came_s, error)
            raise
        if not self.replicas.seen:  # the last one has gone meanwhile
            self.want_cloud()
        return found

    def _without_replica(self, asked: ChoiceRequest) -> None:
        """It found none to ask."""
        if self._chooser.may_cross(asked):
            self.without_replica += 1
            if not self.replicas.seen:
                self.want_cloud()

    def _chosen(
        self, runtime: ModelRuntime, model: str, asked: ChoiceRequest, connection: GuardedConnection | None
    ) -> Choice:
        """The chooser's choice. Raises as it does; CloudUnavailable for a model that needs it."""
        if connection is None and runtime.cloud_required:
            standings = standings_told(self.replicas.states())
            raise CloudUnavailable(
                f"model {model!r} needs the cloud, and no replica is reachable ({standings}); try again"
            )
        return self._chooser.choose(asked)

    def _turned_away(
        self, request: InferRequest, turn: Turn, connection: GuardedConnection | None, error: Exception
    ) -> None:
        """No plan was chosen for it: others leave room for its client where that is fair, and its link is looked at
        all the same, as it may be better by now than what kept the request out."""
        if because_of_others(error):
            turn.admitted.crowded_out()
        if connection is not None:
            connection.stayed()
        self._refused(request, turn.came_s, error)

    def _refused(self, request: InferRequest, came_s: float, error: BaseException) -> None:
        """It ended before a plan was chosen for it: that of whose turn it was is its deadline, too."""
        named, of = _names_plan(request), (request.model, request.request_class, request.policy)
        by = "fixed" if named else self._chooser.decider(*of, canary=request.canary)
        if by:
            request.decided(UNDECIDED._replace(policy=by))
        self._chooser.observe_refusal(refusal(request, came_s, error))

    def _asked(
        self, runtime: ModelRuntime, request: InferRequest, turn: Turn, connection: GuardedConnection | None
    ) -> ChoiceRequest:
        """What the chooser is asked: the request with all that waits now. connection: to the replica that would get it,
        None for no cloud."""
        file_bytes = request.inputs.file_bytes
        requests_s, uplink_queue_s = self._queue.requests_s(), self._around.way_up.wait_s(turn.began_s)
        edge_queue_s = requests_s + self._queue.planning.wait_s(time.monotonic())
        cloud_queue_s = 0.0 if connection is None else connection.cloud_queue_s
        # To what is measured nothing was promised.
        outlook = turn.admitted.outlook(turn.due_s, idle=not (requests_s or uplink_queue_s or cloud_queue_s))
        return ChoiceRequest(
            table=runtime.table if connection is None else runtime.runnable(self.replicas.prepared()),
            form="bytes" if file_bytes else "tensor",
            batch=request.inputs.batch,
            file_bytes=file_bytes,
            remaining_s=turn.remaining_s,
            edge_queue_s=edge_queue_s,
            cloud_queue_s=cloud_queue_s,
            uplink_queue_s=uplink_queue_s,
            overhead_s=self.overhead.seconds(request.inputs.size_bytes),
            cloud_reachable=connection is not None,
            policy=request.policy,
            plan_id=request.plan_id,
            request_id=request.request_id,
            request_class=request.request_class,
            now_s=turn.began_s,
            spare_s=None if runtime.cloud_required else outlook.spare_s,
            sureness=outlook.sureness,
            idle=outlook.idle,
            came_s=turn.came_s,
            priority=request.priority,
            client=request.client,
            asked_s=request.asked_s,
            canary=request.canary,
        )

    def _learn(self, asked: ChoiceRequest, entry: PlanEntry, answer: Answer, alone: bool) -> None:
        """Compare what the plan's own stages took with its costs, where the answer says what these are.

        alone: no other request was here, so that its waits were no others' work.
        """
        self._chooser.observe_outcome(outcome_of(asked.request_id, answer))
        if not self._lessons.due(entry.plan.plan_id, time.monotonic()):
            return
        edge_only, timings = entry.plan.kind == "edge-only", answer.timings
        cloud_wait_s = 0.0 if edge_only else timings.cloud_queue_s - asked.cloud_queue_s
        if edge_only or answer.teaches:
            self._chooser.observe_stages(
                StageTimes(
                    entry=entry,
                    batch=asked.batch,
                    file_bytes=asked.file_bytes,
                    edge_s=timings.edge_s,
                    cloud_s=None if edge_only else timings.cloud_s,
                    uplink_bytes=None if edge_only else answer.uplink_bytes,
                    besides_s=timings.edge_queue_s + cloud_wait_s if alone else None,
                )
            )

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """What became of prefixes, of suffixes computed here, and of requests that needed the cloud."""
        ended = {"prefixes": self._queue.prefixes.counts.to_dict(), "suffixes": self._queue.suffixes.counts.to_dict()}
        return {**ended, "requests": self.resumes.to_dict()}

    @property
    def resumes(self) -> ResumeCounts:
        """How requests that needed the cloud ended."""
        self._counts.late_answers = self.replicas.late_answers
        return replace(self._counts)

    async def drain(self, grace_s: float) -> None:
        """Take nothing new, answer what was accepted within the grace, and what is left then with Draining; let go of
        the cloud."""
        self._draining = True
        if not await self._idle_within(grace_s):
            self._log.warning("drain ran out of time", waiting=self._waiting)
            self._end_all()
            await self._idle_within(ENDING_S)
        await self._planning.close()

    async def _idle_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        return self._idle.is_set()

    def _end_all(self) -> None:
        """Whoever hosts this node soon ends the process: until then each client shall have been told."""
        self._out_of_time = True
        for limit in self._under_way:
            if not limit.expired():
                limit.reschedule(asyncio.get_running_loop().time())

    # ---- models ------------------------------------------------------------------------------------------------

    async def load_model(self, name: str) -> None:
        """See Gateway, and `ModelPlanning.load`."""
        await self._planning.load(name)

    async def switch_model(self, loaded: LoadedModel) -> None:
        """See `ModelPlanning.switch`."""
        await self._planning.switch(loaded)

    async def time_again(self, timer: QuietTimer, offered: Callable[[Collection[str]], None]) -> None:
        """See `ModelPlanning.time_again`."""
        await self._planning.time_again(timer, offered)

    async def unload_model(self, name: str) -> None:
        """See Gateway, and `ModelPlanning.unload`."""
        await self._planning.unload(name)


def _names_plan(request: InferRequest) -> bool:
    """By what its client made up."""
    return bool(request.plan_id) or request.policy.startswith("fixed:")
