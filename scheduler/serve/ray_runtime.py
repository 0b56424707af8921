"""Edge and cloud as Ray Serve applications, on a Ray of their own or the cloud on a cluster that runs already; without
Ray's own proxies in the way."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import platform
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from isthmus.errors import HostLost, Unavailable
from nodes.background import run_apart, to_its_end
from nodes.configured_policies import ConfiguredPolicies
from nodes.settings import CloudSettings, EdgeSettings, ModelArtifact
from scheduler.autoscaling import AutoscalingRule
from scheduler.edge_settings_file import EdgeSettingsFile
from scheduler.node_orders import models_order, policies_order, raise_refusal
from scheduler.serve.application_names import ApplicationNames
from scheduler.serve.application_start import POLL_S, until_running
from scheduler.serve.gpu_share import gpu_share, wait_free
from scheduler.serve.head_watch import while_head_answers
from scheduler.serve.launcher_lease import Launcher, RayLease, take_lease
from scheduler.serve.ray_authentication import check_authenticated
from scheduler.serve.ray_end import DELETE_TIMEOUT_S, delete_application, stop_ray
from scheduler.serve.replica_scaling import replica_count, rule_arguments

__all__ = ["RayRuntime"]

T = TypeVar("T")

OBJECT_STORE_BYTES = 100 << 20
SHUTDOWN_TIMEOUT_S = 60.0
ANSWER_TIMEOUT_S = 30.0
WAKE_TIMEOUT_S = 120.0
SWITCH_TIMEOUT_S = 3600.0  # an engine that compiles takes minutes for a new model
# Nodes bring their own thread budgets; Ray's CPUs only place replicas, so each asks for a sliver: two versions of as
# many replicas as a configuration allows fit on one core.
REPLICA_CPUS = 0.005
# On a cluster of others, who place by them.
CLUSTER_CPUS = 1.0


class RayRuntime:
    """One Ray with the application "edge" and those of one cloud, a version each: see `ApplicationNames`.

    On a cluster of others, nobody else's application is touched, nor another cloud's, and the cluster runs on at the
    end. Applications that a launcher of the same cloud left there which died count as versions before, but they stay
    where this one's do not get to take their place; while it lives, its cloud gets no second launcher.
    """

    def __init__(
        self, num_cpus: int | None = None, address: str = "", cpus: float | None = None, name: str = ""
    ) -> None:
        """num_cpus: of a Ray of its own. address: of a cluster that runs ("auto", "HOST:PORT"), "" for a Ray of its
        own. cpus: for each cloud replica; by default next to none on a Ray of its own and 1 on a cluster. name: of the
        cloud on a cluster, "" for where its replicas register: of one machine no two that run have one registry."""
        self._num_cpus = num_cpus or os.cpu_count() or 1
        self._address, self._name = address, name
        self._cpus = cpus if cpus is not None else (CLUSTER_CPUS if address else REPLICA_CPUS)
        self._head = ""
        self._names: ApplicationNames | None = None
        self._left: tuple[str, ...] = ()
        self._lease: RayLease | None = None
        self._clouds: dict[str, Any] = {}  # handles by application, the last version last
        self._started = False
        self._changing = threading.Lock()  # whether Ray runs, which threads change that outlive a cancelled await
        self._edge: Any = None
        self._edge_file: EdgeSettingsFile | None = None
        self._waking: asyncio.Future[None] | None = None

    async def start(self) -> None:
        """See Runtime."""
        await asyncio.to_thread(self._start_ray)

    async def start_cloud(self, settings: CloudSettings, rule: AutoscalingRule, replicas: int) -> None:
        """See Runtime. An application of its own: Serve itself would take the old replicas down first."""
        names = await self._named(settings)
        from scheduler.serve.replicas import CloudReplica

        name = names.next()
        beside = replicas if self._clouds else 0
        gpus = await self._called(partial(self._gpus_for, settings.device, rule.max_replicas, beside))
        count, share = replica_count(rule, replicas), (self._cpus, gpus)
        try:
            bound = settings.to_json(), rule_arguments(rule)
            self._clouds[name] = await self._deploy(name, CloudReplica, bound, settings, count, share)
        except BaseException:  # also a Ctrl-C: on a cluster of others nobody else takes it away
            await asyncio.shield(self._called(partial(delete_application, name)))
            raise

    async def takes_over(self, settings: CloudSettings) -> bool:
        """See Runtime."""
        await self._named(settings)
        return bool(self._left)

    async def retire_clouds(self) -> None:
        """See Runtime."""
        *before, last = self._clouds
        gone = {**dict.fromkeys(self._left), **{name: self._clouds[name] for name in before}}
        self._left, self._clouds = (), {last: self._clouds[last]}
        for name, handle in gone.items():
            await self._called(partial(delete_application, name, handle))

    async def drop_cloud(self) -> None:
        """See Runtime."""
        await self._called(partial(delete_application, *self._clouds.popitem()))

    def wake(self) -> None:
        """See Runtime. Serve starts a replica for a call that finds none; what it answers is of no interest."""
        for handle in list(self._clouds.values())[-1:]:
            if self._waking is None or self._waking.done():
                self._waking = asyncio.ensure_future(run_apart(_call, handle))

    async def start_edge(self, settings: EdgeSettings) -> str:
        """See Runtime. Where Serve replaces it, it starts as it last was."""
        await self.start()
        from scheduler.serve.replicas import EdgeReplica

        gpus = await self._called(partial(self._gpus_for, settings.device, 1))
        self._edge_file = EdgeSettingsFile(settings)  # the edge's Ray is always of this machine
        bound, one = (str(self._edge_file.path),), {"num_replicas": 1}
        self._edge = await self._deploy("edge", EdgeReplica, bound, settings, one, (REPLICA_CPUS, gpus))
        return str(await answer_of(self._edge.remote, ANSWER_TIMEOUT_S))

    async def wait_until_planned(self, timeout_s: float) -> bool:
        """See Runtime."""
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        while asyncio.get_running_loop().time() < deadline_s:
            if await answer_of(self._edge.planned.remote, ANSWER_TIMEOUT_S):
                return True
            await asyncio.sleep(POLL_S)
        return False

    async def watch_edge(self) -> None:
        """See Runtime: Serve replaces one that dies."""
        await asyncio.Event().wait()

    async def configure(self, policies: ConfiguredPolicies) -> None:
        """See Runtime."""
        kept = await self._ordered(policies_order(policies), ANSWER_TIMEOUT_S)
        kept.configured(policies)

    async def switch_models(self, models: Sequence[ModelArtifact]) -> None:
        """See Runtime."""
        kept = await self._ordered(models_order(models), SWITCH_TIMEOUT_S)
        kept.switched(models)

    async def _ordered(self, order: str, timeout_s: float) -> EdgeSettingsFile:
        """Have the edge follow an order; the file that is to say so. Raises what it refuses it with, Unavailable."""
        assert self._edge_file is not None
        raise_refusal(await answer_of(partial(self._edge.order.remote, order), timeout_s))
        return self._edge_file

    async def stop(self) -> None:
        """See Runtime. Serve drains each application; without this a signal would end Ray with requests in flight.

        Raises HostLost, with what is not drained, where Ray does not answer any more.
        """
        handles = {**({} if self._edge is None else {"edge": self._edge}), **self._clouds}
        self._clouds = {}  # wakes none any more
        most_s = max(2, len(handles)) * DELETE_TIMEOUT_S + SHUTDOWN_TIMEOUT_S
        try:
            await while_head_answers(self._head, partial(self._stop_ray, handles), most_s=most_s)
        except HostLost as error:
            undrained = "left on the cluster" if self._address else "not drained"
            raise HostLost(f"{error}; {undrained}: {', '.join(handles) or 'nothing'}") from error
        finally:
            if self._edge_file is not None:
                self._edge_file.close()

    async def _named(self, settings: CloudSettings) -> ApplicationNames:
        """Those of this cloud; found when its first replicas are to start."""
        await self.start()
        if self._names is None:
            from ray import serve

            identity = (self._name or settings.registry) if self._address else ""
            if identity:
                await self._take_lease(identity)
            there = (await self._called(serve.status)).applications if identity else ()
            self._names = ApplicationNames(identity, there)
            self._left = self._names.left
        return self._names

    async def _take_lease(self, identity: str) -> None:
        """Until Ray is left. Raises as `take_lease`."""
        since = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
        mine = Launcher(platform.node(), os.getpid(), since)
        self._lease = RayLease(identity)
        await self._called(partial(take_lease, self._lease, identity, mine))

    async def _called(self, call: Callable[[], T]) -> T:
        """What a call of Ray returns. Raises what it raises, HostLost where Ray does not answer any more."""
        return await while_head_answers(self._head, call)

    def _stop_ray(self, handles: Mapping[str, Any]) -> None:
        with self._changing:
            if self._started:
                self._started = False
                stop_ray(handles.keys() if self._address else None, handles)

    def _start_ray(self) -> None:
        with self._changing:
            if not self._started:
                self._start_ray_once()

    def _start_ray_once(self) -> None:
        check_authenticated(os.environ, self._address)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # Ray's workers run at nice 15, for batch jobs: beside any other work a replica would take minutes to start.
        os.environ.setdefault("RAY_worker_niceness", "0")
        # A call that comes when Ray has ended would start another one.
        os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ray
            from ray import serve

            self._connect(ray)
            self._head = str(ray.get_runtime_context().gcs_address)
            self._started = True
            logging.getLogger("ray.serve").setLevel(logging.WARNING)
            serve.start(proxy_location="Disabled")  # nothing where Serve runs already

    def _connect(self, ray: Any) -> None:
        """Raises Unavailable for a cluster that is not there."""
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
        if not self._address:
            # "local": never join a cluster that happens to run here.
            own = {"num_cpus": self._num_cpus, "object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False}
            ray.init(address="local", **own, **quiet)
            return
        try:
            ray.init(address=self._address, **quiet)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise Unavailable(f"cloud.address: no Ray cluster at {self._address}: {error}") from error

    @property
    def head(self) -> str:
        """Where the cluster's own control answers: an address that each of its nodes reaches; "" before the start."""
        return self._head

    def _gpus_for(self, device: str, most: int, beside: int = 0) -> float:
        """GPUs a replica, of which there may be so many. beside: how many of them start while others serve. Raises
        DeviceUnavailable."""
        import ray

        there, own = float(ray.cluster_resources().get("GPU", 0)), not self._address
        share = gpu_share(device, there, most, own=own)
        if own:  # a cluster of others may have more of them soon
            wait_free(share, beside, there, lambda: float(ray.available_resources().get("GPU", 0)))
        return share

    async def _deploy(
        self, name: str, replica: type, bound: Sequence[object], settings: CloudSettings | EdgeSettings,
        count: dict[str, Any], share: tuple[float, float],
    ) -> Any:  # fmt: skip
        """bound: what the replica is made with. share: CPUs and GPUs a replica."""
        from ray import serve

        deployment = serve.deployment(
            replica,
            name=name,
            **count,
            ray_actor_options=dict(zip(("num_cpus", "num_gpus"), share, strict=True)),
            graceful_shutdown_timeout_s=2 * settings.drain_s + 5,
            graceful_shutdown_wait_loop_s=0.1,
            health_check_period_s=0.5,
            health_check_timeout_s=5,
            # A constructor that raises does so again: with three tries for each replica, by default, it takes minutes.
            max_constructor_retry_count=2,
        )
        application = deployment.bind(*bound)
        target = serve.RunTarget(application, name=name, route_prefix=None)
        # Not `serve.run`: it waits without end for an application whose constructor raises.
        run = partial(serve.run_many, [target], wait_for_applications_running=False)
        handles = await to_its_end(self._called(run))
        status = partial(self._called, serve.status)
        await until_running(name, settings.start_limit_s, settings.start_limit_key, status)
        return handles[0]


async def answer_of(ask: Callable[[], Any], timeout_s: float) -> Any:
    """What an edge's application says when asked through a handle. Raises Unavailable where it says nothing."""
    from ray.exceptions import RayError
    from ray.serve.exceptions import RayServeException

    try:
        return await run_apart(lambda: ask().result(timeout_s=timeout_s))
    except (RayError, RayServeException, TimeoutError) as error:
        raise Unavailable("edge application: does not answer") from error


def _call(handle: Any) -> None:
    """Return when a replica has answered, which may take its whole start, or when that takes too long."""
    with contextlib.suppress(Exception):  # Ray's and Serve's, of many kinds: an edge asks again
        handle.remote().result(timeout_s=WAKE_TIMEOUT_S)
