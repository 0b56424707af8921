"""Which replica gets a request: what the chooser is asked, and of whom."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

from isthmus.errors import CloudUnavailable
from nodes.circuit_breaker import FAILURES_TO_OPEN
from nodes.cloud_connection import ReplicaDescription
from nodes.fleet import Endpoint, FleetView, Replica
from nodes.guarded_connection import GuardedConnection
from nodes.protocol.edge_stream import WireRequest
from nodes.protocol.events import MeasuredBatch, PlanDefinition, PlanTimes, ResponseArrived
from nodes.protocol.progress import Progress
from nodes.protocol.send_window import Credit
from nodes.replica_health import FIRST_RETRY_S, LONGEST_WANTED_S
from nodes.replica_set import ReplicaSet
from nodes.tensor_feed import TensorFeed
from tests.nodes.sites import eventually


def definition(digest: str) -> PlanDefinition:
    return PlanDefinition(digest, "d" * 64, (), (), ())


@dataclass
class Idle:
    """Implements CloudConnection: a replica that prepares whatever it is offered, at its own speed. slower: some plans
    take it so many times as long."""

    cloud_queue_s: float
    speed_s: float
    replica_id: str = ""
    closed: bool = False
    open: bool = True
    in_flight: int = 0
    in_flight_bytes: int = 0
    heard_s: float = 0.0
    credit: Credit | None = None
    slower: Mapping[str, float] = field(default_factory=dict)
    late_answers: int = 0
    takes_more_tensors: bool = True
    speak: Callable[[], None] | None = None
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def describe(self) -> ReplicaDescription:
        raise NotImplementedError

    async def prepare(self, plan: PlanDefinition) -> PlanTimes:
        speed_s = self.speed_s * self.slower.get(plan.wire_digest, 1.0)
        one, two = (MeasuredBatch(batch, batch * speed_s, 0.0, 0.0) for batch in (1, 2))
        return PlanTimes((one, two), ((1, speed_s), (8, speed_s)))

    async def run(self, request: WireRequest, feed: TensorFeed | None = None) -> ResponseArrived:
        raise NotImplementedError

    @property
    def arrived_bytes(self) -> int:
        return 0

    def ask_arrived(self) -> None:
        pass

    def progress(self, request_id: int) -> Progress:
        raise NotImplementedError

    def when_heard(self, listener: Callable[[], None]) -> None:
        self.speak = listener

    def stayed(self) -> None:
        """Its link is not looked at."""

    def outstayed(self, request_id: int) -> None:
        raise NotImplementedError

    async def wait_until_unusable(self) -> None:
        await self.gone.wait()

    async def wait_until_answered(self) -> None:
        """Nothing is in flight."""

    async def close(self) -> None:
        self.closed = True
        self.gone.set()


class Asked:
    """A chooser's `choose_replica` that remembers what it was told, and takes the last."""

    def __init__(self) -> None:
        self.finishes_s: list[float] = []

    def __call__(self, count: int, finish_s: Callable[[int], float]) -> int:
        self.finishes_s = [finish_s(place) for place in range(count)]
        return count - 1


async def replicas_of(plans: dict[str, tuple[str, ...]], connections: dict[str, Idle]) -> ReplicaSet:
    """Each replica by name with the wire digests that it prepares."""

    async def dial(endpoint: Endpoint) -> Idle:
        connections[endpoint.target].replica_id = endpoint.target
        return connections[endpoint.target]

    async def welcome(connection: GuardedConnection) -> None:
        name = next(name for name, one in connections.items() if one.heard_s == connection.heard_s)
        for digest in plans[name]:
            await connection.prepare(definition(digest))

    replicas = ReplicaSet(dial, welcome)
    replicas.follow(FleetView(1, tuple(Replica(name, Endpoint(name)) for name in connections)))
    await eventually(lambda: replicas.usable == len(connections))
    return replicas


@dataclass
class Stuck(Idle):
    """Has requests that it never answers."""

    async def wait_until_answered(self) -> None:
        await asyncio.Event().wait()


async def test_goodbye_waits_for_no_answer() -> None:
    connections: dict[str, Idle] = {"a": Stuck(0.0, 0.1), "b": Stuck(0.0, 0.1, heard_s=1.0)}
    replicas = await replicas_of({"a": (), "b": ()}, connections)
    connections["a"].gone.set()
    await eventually(lambda: replicas.usable == 1)
    assert not connections["a"].closed  # it still answers what it has
    async with asyncio.timeout(5):
        await replicas.close()
    await eventually(lambda: all(one.closed for one in connections.values()))


async def test_a_finish_is_the_wait_and_what_the_replicas_own_plans_take_for_that_batch() -> None:
    connections = {"a": Idle(0.5, 0.1, heard_s=1.0), "b": Idle(0.2, 0.3, heard_s=2.0)}
    replicas, asked = await replicas_of({"a": ("p", "q"), "b": ("p",)}, connections), Asked()
    chosen = replicas.pick(("p",), asked, batch=2)
    assert sorted(asked.finishes_s) == pytest.approx([0.7, 0.8])
    assert chosen is not None
    assert chosen.finish_s(2, ("p",)) == pytest.approx(asked.finishes_s[-1])
    await replicas.close()


async def test_a_finish_is_by_the_plans_in_question_whatever_else_the_replica_runs() -> None:
    connections = {"a": Idle(0.0, 0.1, slower={"large": 100.0}), "b": Idle(0.0, 0.5)}
    replicas, asked = await replicas_of({"a": ("p", "q", "large"), "b": ("p",)}, connections), Asked()
    replicas.pick(("p", "q"), asked, batch=2)
    assert sorted(asked.finishes_s) == pytest.approx([0.2, 1.0])
    await replicas.close()


async def test_only_replicas_that_run_one_of_the_plans_are_asked_for() -> None:
    connections = {"a": Idle(0.5, 0.1, heard_s=1.0), "b": Idle(0.2, 0.3, heard_s=2.0)}
    replicas, asked = await replicas_of({"a": ("p",), "b": ("q",)}, connections), Asked()
    chosen = replicas.pick(("q",), asked)
    assert chosen is not None
    assert chosen.cloud_queue_s == 0.2
    assert len(asked.finishes_s) == 1
    await replicas.close()


async def test_nobody_is_asked_where_no_replica_runs_it() -> None:
    replicas, asked = await replicas_of({"a": ("p",)}, {"a": Idle(0.5, 0.1, heard_s=1.0)}), Asked()
    assert replicas.pick(("other",), asked) is None
    assert asked.finishes_s == []
    await replicas.close()


class Balancer:
    """Dials a replica by itself, the next of `picks`, the last one again and again. made: all connections."""

    def __init__(self, *picks: str) -> None:
        self.picks, self.made = deque(picks), list[Idle]()

    async def dial(self, endpoint: Endpoint) -> Idle:
        pick = self.picks.popleft() if len(self.picks) > 1 else self.picks[0]
        self.made.append(Idle(0.0, 0.1, replica_id=pick, heard_s=1.0))
        return self.made[-1]

    def open_to(self, name: str) -> list[Idle]:
        return [one for one in self.made if one.replica_id == name and not one.closed]


async def welcomed(connection: GuardedConnection) -> None:
    await connection.prepare(definition("p"))


def behind(balancer: Balancer, *names: str, age_s: float = 3600.0) -> tuple[ReplicaSet, FleetView]:
    endpoint = Endpoint("balancer:1", blind_age_s=age_s)
    return ReplicaSet(balancer.dial, welcomed), FleetView(1, tuple(Replica(name, endpoint) for name in names))


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodes.replica_health.FIRST_RETRY_S", 0.01)


async def test_a_replica_that_another_one_answers_for_gets_no_requests(soon: None) -> None:
    balancer = Balancer("b", "b", "a")
    replicas = ReplicaSet(balancer.dial, welcomed)
    replicas.follow(FleetView(1, (Replica("a", Endpoint("proxy:1", (("route", "a"),))),)))
    await eventually(lambda: replicas.usable == 1)
    assert [one.replica_id for one in replicas.connections] == ["a"]
    assert [one.closed for one in balancer.made] == [True, True, False]
    await replicas.close()


async def test_behind_a_balancer_each_replica_gets_one_stream_whoever_answers_first(soon: None) -> None:
    balancer = Balancer("b", "b", "b", "a")
    replicas, view = behind(balancer, "a", "b")
    replicas.follow(view)
    await eventually(lambda: replicas.usable == 2)
    assert sorted(one.replica_id for one in replicas.connections) == ["a", "b"]
    assert [one.standing for one in replicas.states()] == ["ready", "ready"]
    assert (len(balancer.open_to("a")), len(balancer.open_to("b"))) == (1, 1)
    await replicas.close()


async def test_of_two_behind_a_balancer_the_stream_of_the_one_that_stays_is_kept(soon: None) -> None:
    balancer = Balancer("b", "a")
    replicas, view = behind(balancer, "a", "b")
    replicas.follow(view)
    await eventually(lambda: replicas.usable == 2)
    kept = balancer.open_to("a")
    replicas.follow(FleetView(2, view.replicas[:1]))
    await eventually(lambda: not balancer.open_to("b"))
    assert balancer.open_to("a") == kept
    assert [one.replica_id for one in replicas.connections] == ["a"]
    await replicas.close()


async def test_an_old_stream_goes_when_the_fresh_one_has_its_plans(soon: None) -> None:
    balancer = Balancer("a")
    replicas, view = behind(balancer, "a", age_s=0.05)
    usable = list[int]()
    replicas.follow(view)
    await eventually(lambda: replicas.usable == 1)
    async with asyncio.timeout(10):
        while len(balancer.made) < 4:
            usable.append(replicas.usable)
            await asyncio.sleep(0.001)
    assert set(usable) == {1}
    await eventually(lambda: len(balancer.open_to("a")) == 1)
    assert balancer.made[0].closed
    await replicas.close()


async def test_a_renewed_stream_takes_no_replica_that_another_line_has_reached_meanwhile(soon: None) -> None:
    made, apart, blocked, release = list[Idle](), asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def dial(endpoint: Endpoint) -> Idle:
        number = next(line.number for line, task in replicas._tasks.items() if task is asyncio.current_task())
        if apart.is_set() and number == 1 and not blocked.is_set():
            raise CloudUnavailable("not yet")
        crossed = apart.is_set() and number == 0
        made.append(Idle(0.0, 0.1, "b" if crossed or number == 1 else "a", heard_s=1.0))
        return made[-1]

    async def welcome(connection: GuardedConnection) -> None:
        if apart.is_set() and not blocked.is_set():
            blocked.set()
            await release.wait()
        await connection.prepare(definition("p"))

    endpoint = Endpoint("balancer:1", blind_age_s=0.2)
    replicas = ReplicaSet(dial, welcome)
    replicas.follow(FleetView(1, (Replica("a", endpoint), Replica("b", endpoint))))
    await eventually(lambda: replicas.usable == 2)
    apart.set()
    for one in [one for one in made if one.replica_id == "b"]:
        one.open = False
        one.gone.set()
    await asyncio.wait_for(blocked.wait(), 10)  # the first line's renewal reached b, which nobody had
    await eventually(lambda: replicas.usable == 2)  # and so has the second line
    release.set()
    await eventually(lambda: sum(one.replica_id == "b" and not one.closed and one.open for one in made) == 1)
    assert sorted(one.replica_id for one in replicas.connections) == ["a", "b"]
    await replicas.close()


async def test_a_replica_is_dialled_again_whatever_went_wrong_before(soon: None) -> None:
    balancer, faults = Balancer("a"), deque(["dial", "welcome"])

    def fail_in(place: str) -> None:
        if faults and faults[0] == place:
            raise ZeroDivisionError(faults.popleft())

    async def dial(endpoint: Endpoint) -> Idle:
        fail_in("dial")
        return await balancer.dial(endpoint)

    async def welcome(connection: GuardedConnection) -> None:
        fail_in("welcome")
        await welcomed(connection)

    replicas = ReplicaSet(dial, welcome)
    replicas.follow(FleetView(1, (Replica("a", Endpoint("host:1")),)))
    await eventually(lambda: replicas.usable == 1)
    assert [one.closed for one in balancer.made] == [True, False]
    await replicas.close()


async def found(replicas: ReplicaSet) -> GuardedConnection | None:
    """Whoever runs "p", once somebody does."""
    async with asyncio.timeout(10.0):
        return await replicas.until(lambda: next(iter(replicas.able("p")), None), time.monotonic() + 3600.0)


async def test_who_waits_for_a_replica_goes_on_once_one_is_prepared() -> None:
    async def welcome(connection: GuardedConnection) -> None:
        await connection.prepare(definition("p"))
        for _ in range(5):  # it is not offered for use before all of it is done
            await asyncio.sleep(0)

    replicas = ReplicaSet(Balancer("a").dial, welcome)
    waiting = asyncio.create_task(found(replicas))
    await asyncio.sleep(0)
    replicas.follow(FleetView(1, (Replica("a", Endpoint("host:1")),)))
    connection = await waiting
    assert connection in replicas.connections
    await replicas.close()


async def test_who_waits_for_a_plan_goes_on_once_it_is_prepared() -> None:
    replicas = await replicas_of({"a": ()}, {"a": Idle(0.0, 0.1, heard_s=1.0)})
    waiting = asyncio.create_task(found(replicas))
    await asyncio.sleep(0)
    (connection,) = replicas.connections
    await connection.prepare(definition("p"))
    assert await waiting is connection
    await replicas.close()


async def test_who_waits_for_a_silent_replica_goes_on_once_it_has_spoken() -> None:
    idle = Idle(0.0, 0.1, heard_s=1.0)
    replicas = await replicas_of({"a": ("p",)}, {"a": idle})
    (connection,) = replicas.connections
    connection.gave_up(time.monotonic(), late=True)
    waiting = asyncio.create_task(found(replicas))
    await asyncio.sleep(0)
    idle.heard_s = time.monotonic()
    assert idle.speak is not None
    idle.speak()
    assert await waiting is connection
    await replicas.close()


async def test_who_waits_for_a_replica_that_failed_goes_on_once_it_may_be_tried() -> None:
    idle = Idle(0.0, 0.1, heard_s=1.0)
    replicas = await replicas_of({"a": ("p",)}, {"a": idle})
    (connection,) = replicas.connections
    for _ in range(FAILURES_TO_OPEN):
        connection.at_fault()
    trial_s = connection.trial_s
    assert await found(replicas) is connection
    assert trial_s <= time.monotonic() < trial_s + 10.0
    await replicas.close()


async def test_who_waits_has_a_lost_replica_dialled_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodes.replica_health.FIRST_RETRY_S", 3600.0)
    monkeypatch.setattr("nodes.replica_health.LONGEST_RETRY_S", 3600.0)
    balancer, dials = Balancer("a"), list[float]()

    async def dial(endpoint: Endpoint) -> Idle:
        dials.append(time.monotonic())
        if len(dials) < 3:
            raise CloudUnavailable("nobody there")
        return await balancer.dial(endpoint)

    replicas = ReplicaSet(dial, welcomed)
    replicas.follow(FleetView(1, (Replica("a", Endpoint("host:1")),)))
    await eventually(lambda: len(dials) == 1)
    assert await found(replicas) in replicas.connections
    assert all(after_s - before_s > LONGEST_WANTED_S / 20 for before_s, after_s in itertools.pairwise(dials))
    await replicas.close()


async def test_replicas_that_come_later_are_dialled_by_no_two_edges_in_one_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dials = dict[str, list[float]]()

    async def dial(endpoint: Endpoint) -> Idle:
        dials.setdefault(endpoint.target, []).append(time.monotonic())
        return Idle(0.0, 0.0, endpoint.target)

    def view(*names: str) -> FleetView:
        return FleetView(len(names), tuple(Replica(name, Endpoint(name)) for name in names))

    edges = [ReplicaSet(dial, welcomed) for _ in range(20)]
    began_s = time.monotonic()
    for edge in edges:
        edge.follow(view("a"))  # an edge that starts has nobody beside it
    await eventually(lambda: len(dials.get("a", ())) == 20)
    for edge in edges:
        edge.follow(view("a", "b"))
    came_s = time.monotonic()
    await eventually(lambda: len(dials.get("b", ())) == 20)
    assert max(dials["a"]) - began_s < FIRST_RETRY_S / 2
    assert min(dials["b"]) - came_s >= FIRST_RETRY_S / 10
    assert max(dials["b"]) - min(dials["b"]) > FIRST_RETRY_S / 4  # 20 draws within less: once in a million
    for edge in edges:
        await edge.close()


async def test_nobody_waits_past_its_time() -> None:
    replicas = await replicas_of({"a": ()}, {"a": Idle(0.0, 0.1, heard_s=1.0)})
    began_s = time.monotonic()
    assert await replicas.until(lambda: next(iter(replicas.able("p")), None), began_s + 0.05) is None
    assert 0.04 <= time.monotonic() - began_s < 10.0
    await replicas.close()


async def test_nobody_waits_for_replicas_that_are_let_go_of() -> None:
    replicas = await replicas_of({"a": ()}, {"a": Idle(0.0, 0.1, heard_s=1.0)})
    waiting = asyncio.create_task(found(replicas))
    await asyncio.sleep(0)
    await replicas.close()
    assert await waiting is None
