"""The fleet registry over real gRPC on loopback: the service, and both of its clients."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from isthmus.errors import PortInUse
from isthmus.v1 import fleet_pb2 as pb
from isthmus.v1 import fleet_pb2_grpc
from nodes.fleet import Endpoint, FleetView, ModelVersion, Replica
from nodes.transport import fleet_client
from nodes.transport.channel_options import CHANNEL_OPTIONS
from nodes.transport.fleet_client import FleetWatch, ReplicaRegistration
from nodes.transport.fleet_service import FleetService
from nodes.transport.registry_server import RegistryServer
from scheduler.fleet_registry import FleetRegistry

ANYWHERE = "127.0.0.1:0"
SHORT_LEASE_S = 0.3
A = Replica("a", Endpoint("10.0.0.1:9000", (("route", "a"),), "a.example"), (ModelVersion("net", "d" * 64),))
B = Replica("b", Endpoint("10.0.0.2:9000"))


class NoticingBook(FleetRegistry):
    """Tells when a heartbeat of a known replica came."""

    beats = 0

    def heartbeat(self, replica_id: str, draining: bool, now_s: float) -> bool:
        """See FleetRegistry."""
        known = super().heartbeat(replica_id, draining, now_s)
        self.beats += known
        if known:
            self._beat.set()
        return known

    def __init__(self, lease_s: float) -> None:
        super().__init__(lease_s)
        self._beat = asyncio.Event()

    async def next_beat(self) -> None:
        """Returns at the next heartbeat."""
        self._beat.clear()
        await self._beat.wait()


@asynccontextmanager
async def closing(thing: FleetWatch | ReplicaRegistration) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await thing.close()


@asynccontextmanager
async def serving(
    book: FleetRegistry | None = None, listen: str = ANYWHERE, **settings: object
) -> AsyncIterator[RegistryServer]:
    server = await RegistryServer.start(book or FleetRegistry(), listen, **settings)  # type: ignore[arg-type]
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def registered(address: str, replica: Replica) -> AsyncIterator[ReplicaRegistration]:
    registration = ReplicaRegistration(address, replica)
    registration.start()
    try:
        yield registration
    finally:
        await registration.close()


@asynccontextmanager
async def watching(address: str, on_view: Callable[[FleetView], None] | None = None) -> AsyncIterator[FleetWatch]:
    watch = FleetWatch(address, "edge-1", on_view, grace_s=1.0)
    watch.start()
    try:
        yield watch
    finally:
        await watch.close()


@asynccontextmanager
async def calling(address: str) -> AsyncIterator[fleet_pb2_grpc.FleetServiceAsyncStub]:
    async with grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
        yield fleet_pb2_grpc.FleetServiceStub(channel)


async def seen(watch: FleetWatch, *replicas: Replica) -> FleetView:
    """The first view that holds exactly these replicas."""
    async with asyncio.timeout(10):
        async for view in watch.views():
            if view.replicas == replicas:
                return view
    raise AssertionError("the watch ended")


async def test_an_edge_sees_a_replica_come_with_all_its_facts() -> None:
    async with serving() as server, watching(server.address) as watch, registered(server.address, A):
        assert (await seen(watch, A)).version == 1


async def test_a_watch_that_comes_later_gets_the_view_at_once() -> None:
    book = FleetRegistry()
    book.register(A, asyncio.get_running_loop().time())
    async with serving(book) as server, watching(server.address) as watch:
        assert await seen(watch, A)


async def test_closing_a_registration_leaves_the_registry_at_once() -> None:
    async with serving() as server, watching(server.address) as watch:
        async with registered(server.address, A):
            assert await seen(watch, A)
        assert await seen(watch)


async def test_draining_is_told_before_the_next_heartbeat_is_due() -> None:
    async with (
        serving(FleetRegistry(lease_s=600)) as server,
        watching(server.address) as watch,
        registered(server.address, B) as registration,
    ):
        assert await seen(watch, B)
        registration.set_draining()
        assert await seen(watch, Replica("b", B.endpoint, draining=True))


async def test_heartbeats_keep_a_lease_for_many_times_its_length() -> None:
    book = NoticingBook(SHORT_LEASE_S)
    async with serving(book) as server, registered(server.address, A), asyncio.timeout(10):
        while book.beats < 10:  # three in a lease
            await book.next_beat()
        assert book.view() == FleetView(1, (A,))


async def test_a_replica_that_died_is_out_of_the_view_after_its_lease() -> None:
    async with (
        serving(FleetRegistry(SHORT_LEASE_S)) as server,
        watching(server.address) as watch,
        calling(server.address) as stub,
    ):
        message = pb.Replica(replica_id="b", endpoint=pb.Endpoint(target=B.endpoint.target))
        assert (await stub.Register(pb.RegisterRequest(replica=message))).lease_s == SHORT_LEASE_S
        assert await seen(watch, B)
        assert await seen(watch)


async def test_a_restarted_registry_learns_its_replicas_again_and_no_edge_loses_one() -> None:
    views: list[FleetView] = []
    async with serving(FleetRegistry(SHORT_LEASE_S)) as server:
        address = server.address
        watch, registration = FleetWatch(address, "edge-1", views.append), ReplicaRegistration(address, A)
        watch.start()
        registration.start()
        assert await seen(watch, A)
    # B is new, so a view with both proves that the watch and A's registration have found the new registry.
    book = FleetRegistry(SHORT_LEASE_S)
    async with serving(book, address), closing(watch), closing(registration), registered(address, B):
        assert await seen(watch, A, B)
        await registration_in(book, "a")
        found = next(number for number, view in enumerate(views) if A in view.replicas)
        assert [view.replicas for view in views[found:] if A not in view.replicas] == []


async def test_that_nobody_is_there_yet_is_told_too() -> None:
    """Who comes later is then known to be new for every edge of the fleet."""
    views: list[FleetView] = []
    async with serving(FleetRegistry()) as server, watching(server.address, views.append) as watch:
        async with asyncio.timeout(10):
            while not views:  # noqa: ASYNC110 (no event to await)
                await asyncio.sleep(0.005)
        assert [view.replicas for view in views] == [()]
        async with registered(server.address, A):
            assert await seen(watch, A)


async def registration_in(book: FleetRegistry, replica_id: str) -> None:
    """Returns once the book holds the replica."""
    async with asyncio.timeout(10):
        while replica_id not in {replica.replica_id for replica in book.view().replicas}:  # noqa: ASYNC110 (no event to await)
            await asyncio.sleep(0.005)


async def test_an_edge_knows_since_when_its_registry_is_away() -> None:
    book = FleetRegistry()
    async with serving(book) as server:
        address = server.address
        watch = FleetWatch(address, "edge-1")
        assert (watch.heard, watch.away_s is None) == (False, False)
        watch.start()
        async with closing(watch):
            await away(watch, False)
            await server.stop()
            await away(watch, True)
            assert watch.away_s is not None
            assert 0.0 <= watch.away_s < 10.0
            assert watch.heard
            async with serving(book, address):
                await away(watch, False)


async def away(watch: FleetWatch, wanted: bool) -> None:
    """Returns once the watch says that its registry is, or is not, away."""
    async with asyncio.timeout(10):
        while (watch.away_s is not None) is not wanted:  # noqa: ASYNC110 (no event to await)
            await asyncio.sleep(0.005)


async def test_an_edge_keeps_its_last_view_while_the_registry_is_away() -> None:
    async with serving() as server, watching(server.address) as watch, registered(server.address, A):
        assert await seen(watch, A)
        await server.stop()
        assert watch.view.replicas == (A,)


async def test_clients_may_start_before_the_registry() -> None:
    async with serving() as server:
        address = server.address
    async with watching(address) as watch, registered(address, A), serving(FleetRegistry(), address):
        assert await seen(watch, A)


async def test_edges_dial_what_the_mapper_says_and_it_is_asked_once() -> None:
    asked: list[str] = []

    async def through_the_emulator(target: str) -> str:
        asked.append(target)
        return "127.0.0.1:4000"

    async with (
        serving(FleetRegistry(), endpoint_mapper=through_the_emulator, emulated_link="a slow one") as server,
        watching(server.address) as watch,
        calling(server.address) as stub,
    ):
        message = pb.Replica(replica_id="b", endpoint=pb.Endpoint(target=B.endpoint.target))
        for _ in range(3):
            await stub.Register(pb.RegisterRequest(replica=message))
        assert await seen(watch, B.at("127.0.0.1:4000", "a slow one"))
    assert asked == [B.endpoint.target]


async def test_a_mapper_that_fails_is_asked_again() -> None:
    answers = iter((OSError("no port left"), "127.0.0.1:4000"))

    async def failing_once(_: str) -> str:
        answer = next(answers)
        if not isinstance(answer, str):
            raise answer
        return answer

    async with (
        serving(FleetRegistry(), endpoint_mapper=failing_once) as server,
        watching(server.address) as watch,
        registered(server.address, B),
    ):
        assert await seen(watch, B.at("127.0.0.1:4000"))


async def test_no_lease_runs_out_while_the_registry_itself_stands_still() -> None:
    book = FleetRegistry(lease_s=1.0)
    async with serving(book) as server, watching(server.address) as watch, registered(server.address, A):
        assert await seen(watch, A)
        version = book.view().version
        time.sleep(2.0)  # noqa: ASYNC251
        await asyncio.sleep(0.3)
        assert (book.view().version, book.view().replicas) == (version, (A,))


@pytest.mark.parametrize("message", [pb.Replica(), pb.Replica(replica_id="a"), pb.Replica(replica_id="a" * 10_000)])
async def test_a_claim_that_is_none_is_an_invalid_argument(message: pb.Replica) -> None:
    async with serving() as server, calling(server.address) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Register(pb.RegisterRequest(replica=message))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert not (await stub.Heartbeat(pb.HeartbeatRequest(replica_id="a"))).known


async def test_watchers_over_the_bound_are_refused_and_those_that_went_do_not_count() -> None:
    service = FleetService(FleetRegistry(), max_watchers=1)
    server = grpc.aio.server()
    fleet_pb2_grpc.add_FleetServiceServicer_to_server(service, server)
    port = server.add_insecure_port(ANYWHERE)
    await server.start()
    async with calling(f"127.0.0.1:{port}") as stub:
        first = stub.Watch(pb.WatchRequest())
        await first.read()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Watch(pb.WatchRequest()).read()
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        first.cancel()
        async with asyncio.timeout(10):
            while not await watch_opens(stub):
                pass
    await service.close()
    await server.stop(None)


async def watch_opens(stub: fleet_pb2_grpc.FleetServiceAsyncStub) -> bool:
    try:
        return isinstance(await stub.Watch(pb.WatchRequest()).read(), pb.FleetView)
    except grpc.aio.AioRpcError:
        return False


async def test_a_slow_watcher_gets_the_newest_view() -> None:
    async with serving() as server, calling(server.address) as stub:
        call = stub.Watch(pb.WatchRequest())
        for number in range(200):
            message = pb.Replica(replica_id=f"{number:03}", endpoint=pb.Endpoint(target="t:1"))
            await stub.Register(pb.RegisterRequest(replica=message))
        versions = [view.version async for view in until(call, lambda view: view.version == 200)]
        assert versions == sorted(versions)


async def until(
    call: grpc.aio.UnaryStreamCall[pb.WatchRequest, pb.FleetView], done: Callable[[pb.FleetView], bool]
) -> AsyncIterator[pb.FleetView]:
    async with asyncio.timeout(10):
        async for view in call:
            yield view
            if done(view):
                return
    raise AssertionError("the stream ended")


async def test_a_listener_that_raises_does_not_end_the_watch() -> None:
    def failing(_: FleetView) -> None:
        raise RuntimeError("listener")

    async with serving() as server, watching(server.address, failing) as watch:
        async with registered(server.address, A):
            assert await seen(watch, A)
        assert await seen(watch)


async def test_what_nobody_planned_ends_neither_a_watch_nor_a_registration(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = {"view_from_message": 1, "replica_message": 1}

    def failing_once(name: str) -> Callable[[Any], Any]:
        real = getattr(fleet_client, name)

        def call(given: Any) -> Any:
            if failures[name]:
                failures[name] = 0
                raise ZeroDivisionError
            return real(given)

        return call

    for name in failures:
        monkeypatch.setattr(fleet_client, name, failing_once(name))
    async with serving() as server, watching(server.address) as watch, registered(server.address, A):
        assert await seen(watch, A)
    assert not any(failures.values())


async def test_a_port_in_use_is_named() -> None:
    async with serving() as server:
        with pytest.raises(PortInUse, match=f"cloud.registry_listen.*{server.address}"):
            await RegistryServer.start(FleetRegistry(), server.address)


async def test_stopping_ends_open_watches_within_the_grace() -> None:
    server = await RegistryServer.start(FleetRegistry(), ANYWHERE)
    async with calling(server.address) as stub:
        call = stub.Watch(pb.WatchRequest())
        await call.read()
        await server.stop()
        assert await call.read() is grpc.aio.EOF


async def test_an_edge_that_wants_replicas_is_heard_only_while_none_serves_and_not_at_every_request() -> None:
    wanted: list[int] = []
    async with serving(on_want=lambda: wanted.append(1)) as server:
        watch = FleetWatch(server.address, "edge")
        watch.want()  # before it has reached the registry: nothing to tell it with
        watch.start()
        async with closing(watch):
            views = watch.views()
            assert (await anext(views)).replicas == ()
            while not wanted:
                watch.want()
                await asyncio.sleep(0.01)
            for _ in range(100):
                watch.want()
            async with grpc.aio.insecure_channel(server.address) as channel:
                stub = fleet_pb2_grpc.FleetServiceStub(channel)
                await stub.Want(pb.WantRequest(edge_id="other"))
                assert len(wanted) == 2
                async with registered(server.address, A):
                    while not (await anext(views)).replicas:
                        pass
                    await stub.Want(pb.WantRequest(edge_id="other"))
                    assert len(wanted) == 2
