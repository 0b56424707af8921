"""Edge and cloud as Ray Serve applications, on a Ray of their own or the cloud on a cluster that runs already; without
Ray's own proxies in the way."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from isthmus.errors import Unavailable
from nodes.background import run_apart, to_its_end
from nodes.configured_policies import ConfiguredPolicies
from nodes.settings import CloudSettings, EdgeSettings, ModelArtifact, start_timeout_s
from scheduler.autoscaling import AutoscalingRule
from scheduler.edge_settings_file import EdgeSettingsFile
from scheduler.node_orders import models_order, policies_order, raise_refusal
from scheduler.serve.gpu_share import gpu_share, wait_free
from scheduler.serve.ray_authentication import check_authenticated
from scheduler.serve.replica_scaling import replica_count, rule_arguments

__all__ = ["RayRuntime"]

OBJECT_STORE_BYTES = 100 << 20
POLL_S = 0.1
DELETE_TIMEOUT_S = 60.0
ANSWER_TIMEOUT_S = 30.0
WAKE_TIMEOUT_S = 120.0
SWITCH_TIMEOUT_S = 3600.0  # an engine that compiles takes minutes for a new model
# Nodes bring their own thread budgets; Ray's CPUs only place replicas, so each asks for a sliver: two versions of as
# many replicas as a configuration allows fit on one core.
REPLICA_CPUS = 0.005
# On a cluster of others, who place by them.
CLUSTER_CPUS = 1.0


class RayRuntime:
    """One Ray with the applications "edge" and "cloud"; "cloud-2" and so on are the versions after it.

    On a cluster of others they are called "isthmus-cloud" and so on, nobody else's application is touched, and the
    cluster runs on at the end. Applications that a launcher left there which died count as versions before, but they
    stay where this one's do not get to take their place.
    """

    def __init__(self, num_cpus: int | None = None, address: str = "", cpus: float | None = None) -> None:
        """num_cpus: of a Ray of its own. address: of a cluster that runs ("auto", "HOST:PORT"), "" for a Ray of its
        own. cpus: for each cloud replica; by default next to none on a Ray of its own and 1 on a cluster."""
        self._num_cpus = num_cpus or os.cpu_count() or 1
        self._address = address
        self._cpus = cpus if cpus is not None else (CLUSTER_CPUS if address else REPLICA_CPUS)
        self._name = "isthmus-cloud" if address else "cloud"
        self._left: list[str] = []
        self._clouds: dict[str, Any] = {}  # handles by application, the last version last
        self._versions = itertools.count(1)
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
        await self.start()
        from scheduler.serve.replicas import CloudReplica

        number = next(self._versions)
        name = self._name if number == 1 else f"{self._name}-{number}"
        beside = replicas if self._clouds else 0
        gpus = await asyncio.to_thread(self._gpus_for, settings.device, rule.max_replicas, beside)
        count, share = replica_count(rule, replicas), (self._cpus, gpus)
        try:
            bound = settings.to_json(), rule_arguments(rule)
            self._clouds[name] = await self._deploy(name, CloudReplica, bound, settings, count, share)
        except BaseException:  # also a Ctrl-C: on a cluster of others nobody else takes it away
            await asyncio.shield(asyncio.to_thread(_delete, name))
            raise

    @property
    def takes_over(self) -> bool:
        """See Runtime."""
        return bool(self._left)

    async def retire_clouds(self) -> None:
        """See Runtime."""
        *before, last = self._clouds
        left, self._left = self._left, []
        self._clouds = {last: self._clouds[last]}
        for name in (*left, *before):
            await asyncio.to_thread(_delete, name)

    async def drop_cloud(self) -> None:
        """See Runtime."""
        name, _ = self._clouds.popitem()
        await asyncio.to_thread(_delete, name)

    def wake(self) -> None:
        """See Runtime. Serve starts a replica for a call that finds none; what it answers is of no interest."""
        for handle in list(self._clouds.values())[-1:]:
            if self._waking is None or self._waking.done():
                self._waking = asyncio.ensure_future(asyncio.to_thread(_call, handle))

    async def start_edge(self, settings: EdgeSettings) -> str:
        """See Runtime. Where Serve replaces it, it starts as it last was."""
        await self.start()
        from scheduler.serve.replicas import EdgeReplica

        gpus = await asyncio.to_thread(self._gpus_for, settings.device, 1)
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
        """See Runtime. Serve drains each application; without this a signal would end Ray with requests in flight."""
        try:
            await asyncio.to_thread(self._stop_ray)
        finally:
            if self._edge_file is not None:
                self._edge_file.close()

    def _stop_ray(self) -> None:
        with self._changing:
            if self._started:
                self._started = False
                names = [*(["edge"] if self._edge is not None else []), *self._clouds]
                _stop_ray(names if self._address else None)

    def _start_ray(self) -> None:
        with self._changing:
            if not self._started:
                self._start_ray_once()

    def _start_ray_once(self) -> None:
        check_authenticated(os.environ, self._address)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # Ray's workers run at nice 15, for batch jobs: beside any other work a replica would take minutes to start.
        os.environ.setdefault("RAY_worker_niceness", "0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ray
            from ray import serve

            self._connect(ray)
            self._started = True
            logging.getLogger("ray.serve").setLevel(logging.WARNING)
            serve.start(proxy_location="Disabled")  # nothing where Serve runs already
            if self._address:
                self._adopt(serve.status().applications)

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

    def _adopt(self, there: Iterable[str]) -> None:
        """Applications that a launcher left which died: the next version is named after them, and takes their place."""
        own = re.compile(rf"{self._name}(?:-(\d+))?")
        numbers = {name: int(found[1] or 1) for name in there if (found := own.fullmatch(name))}
        self._left = sorted(numbers, key=numbers.__getitem__)
        self._versions = itertools.count(1 + max(numbers.values(), default=0))

    @property
    def head(self) -> str:
        """Where the cluster's own control answers: an address that each of its nodes reaches."""
        import ray

        return str(ray.get_runtime_context().gcs_address)

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
        handles = await to_its_end(asyncio.to_thread(serve.run_many, [target], wait_for_applications_running=False))
        await self._wait_running(name, start_timeout_s(settings.engine))
        return handles[0]

    async def _wait_running(self, name: str, timeout_s: float) -> None:
        """Return when the application runs. Raises Unavailable with the constructor's error when it cannot."""
        from ray import serve

        for _ in range(round(timeout_s / POLL_S)):
            application = (await asyncio.to_thread(serve.status)).applications[name]
            if application.status == "RUNNING":
                return
            if application.status in ("DEPLOY_FAILED", "UNHEALTHY"):
                raise Unavailable(f"{name} application: {_last_line(application)}")
            await asyncio.sleep(POLL_S)
        raise Unavailable(f"{name} application: not running within {timeout_s:g} s")


async def answer_of(ask: Callable[[], Any], timeout_s: float) -> Any:
    """What an edge's application says when asked through a handle. Raises Unavailable where it says nothing."""
    from ray.exceptions import RayError
    from ray.serve.exceptions import RayServeException

    try:
        return await run_apart(lambda: ask().result(timeout_s=timeout_s))
    except (RayError, RayServeException, TimeoutError) as error:
        raise Unavailable("edge application: does not answer") from error


def _last_line(application: Any) -> str:
    """The constructor's own error: the last line that names one of ours, or the last line at all."""
    messages = [application.message, *(d.message for d in application.deployments.values())]
    lines = [line.strip() for message in messages for line in message.splitlines() if line.strip()]
    ours = [line.removeprefix("isthmus.errors.") for line in lines if line.startswith("isthmus.errors.")]
    last: str = (ours or lines or ["no reason given"])[-1]
    return last


def _stop_ray(names: Sequence[str] | None) -> None:
    """names: of the applications to drain, None for all that there are; the edge first: it still uses the cloud."""
    import ray
    from ray import serve

    try:
        there = serve.status().applications
        for name in sorted(there, key=lambda name: name != "edge"):
            if names is None or name in names:
                _delete(name)
    finally:
        ray.shutdown()  # not `serve.shutdown`: it kills Serve's controller, and Ray complains of that on the terminal


def _call(handle: Any) -> None:
    """Return when a replica has answered, which may take its whole start, or when that takes too long."""
    with contextlib.suppress(Exception):  # Ray's and Serve's, of many kinds: an edge asks again
        handle.remote().result(timeout_s=WAKE_TIMEOUT_S)


def _delete(name: str) -> None:
    """Return when the application is gone, or after its time to drain. Serve's own way to wait looks once a second."""
    from ray import serve

    serve.delete(name, _blocking=False)
    for _ in range(round(DELETE_TIMEOUT_S / POLL_S)):
        if name not in serve.status().applications:
            return
        time.sleep(POLL_S)
