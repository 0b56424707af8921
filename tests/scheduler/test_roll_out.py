"""Blue-green: what is started, moved and taken away when, and what is left when the new version is no good."""

from __future__ import annotations

import time

import pytest

from isthmus.errors import InvalidModel, Unavailable
from nodes.configured_policies import ConfiguredPolicies
from nodes.edge_use import EdgeUse
from nodes.fleet import Endpoint, FleetView, Replica
from nodes.settings import CloudSettings, EdgeSettings
from scheduler import roll_out
from scheduler.autoscaling import AutoscalingRule
from scheduler.roll_out import EdgeMove, Moved, ReplicaUse, RollOut, moved_edges

ONE = AutoscalingRule.fixed(1)
SETTINGS = CloudSettings((), "127.0.0.1:0", "127.0.0.1:1")


def used(streams: int, settled: int) -> ReplicaUse:
    """By so many edges, of which so many are ready."""
    edges = (EdgeUse(f"edge {number}", frozenset({"net"}), number < settled) for number in range(streams))
    return ReplicaUse(frozenset({"net"}), tuple(edges), streams, settled)


class Fleet:
    """A runtime without nodes: replicas are names in a registry's view, and all that happens is written down."""

    def __init__(self) -> None:
        self.clouds = [["old"]]
        self.uses = {"old": used(2, 2), "new": used(2, 2)}
        self.happened: list[str] = []
        self.starts, self.registers = True, True
        self.old_scales_up, self.leaves = False, False
        self.silent: set[str] = set()
        self.moving: list[ReplicaUse] = []  # what the new one says before `uses`
        self.asked_for = 0
        self.prefix = ""
        self.moved = Moved()

    def view(self) -> FleetView:
        return FleetView(1, tuple(Replica(name, Endpoint(name)) for names in self.clouds for name in names))

    async def ask(self, replica: Replica) -> ReplicaUse:
        name = replica.replica_id.removeprefix(self.prefix)
        if name in self.silent:
            raise Unavailable(f"{name} does not answer")
        if name == "new" and self.moving:
            return self.moving.pop(0)
        return self.uses[name]

    @property
    def names(self) -> list[list[str]]:
        """Of the replicas by cloud, without what a roll-out calls its own by."""
        return [[name.removeprefix(self.prefix) for name in names] for names in self.clouds]

    async def start(self) -> None: ...

    async def start_cloud(self, settings: CloudSettings, rule: AutoscalingRule, replicas: int) -> None:
        self.asked_for, self.prefix = replicas, settings.id_prefix
        if not self.starts:
            raise InvalidModel("model", "is no good")
        self.happened.append("start")
        self.clouds[0] += ["old-2"] if self.old_scales_up else []
        self.clouds.append([f"{self.prefix}new"] if self.registers else [])

    async def takes_over(self, settings: CloudSettings) -> bool:
        return False

    async def retire_clouds(self) -> None:
        self.happened.append("retire old")
        self.clouds = self.clouds[-1:]

    async def drop_cloud(self) -> None:
        self.happened.append("drop new")
        self.clouds.pop()

    def wake(self) -> None: ...

    async def start_edge(self, settings: EdgeSettings) -> str:
        return ""

    async def wait_until_planned(self, timeout_s: float) -> bool:
        return True

    async def watch_edge(self) -> None: ...

    async def configure(self, policies: ConfiguredPolicies) -> None: ...

    async def switch_models(self, models: object) -> None: ...

    async def stop(self) -> None: ...

    async def there(self) -> None:
        self.happened.append("edge there")
        if self.leaves:
            self.clouds[-1] = []

    async def back(self) -> None:
        self.happened.append("edge back")

    async def refuses(self) -> None:
        raise Unavailable("edge: no")

    async def roll(self, overlap_s: float = 30.0, *, refused: bool = False, rule: AutoscalingRule = ONE) -> None:
        move = EdgeMove(self.refuses if refused else self.there, self.back)
        self.moved = await RollOut(self, self.view, self.ask).run(SETTINGS, rule, overlap_s, move)


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.setattr(roll_out, "LOOK_S", 0.001)
    monkeypatch.setattr(roll_out, "REGISTER_S", 0.02)
    return Fleet()


async def test_the_old_one_goes_only_when_the_edges_have_moved(fleet: Fleet) -> None:
    fleet.moving = [used(0, 0), used(2, 0), used(2, 1)]
    await fleet.roll()
    assert not fleet.moving  # all of it was heard before
    assert fleet.happened == ["start", "edge there", "retire old"]
    assert fleet.names == [["new"]]


async def test_edges_that_do_not_move_are_waited_for_as_long_as_the_overlap(fleet: Fleet) -> None:
    fleet.uses["new"] = used(2, 1)
    began_s = time.monotonic()
    await fleet.roll(overlap_s=0.05)
    assert time.monotonic() - began_s >= 0.05
    assert fleet.names == [["new"]]
    assert (fleet.moved, str(fleet.moved)) == (Moved(2, 1), "1 of 2 edges had not moved when cloud.overlap was over")


async def test_edges_none_of_which_moves_are_waited_for_and_told_of(fleet: Fleet) -> None:
    fleet.uses["new"] = used(2, 0)
    began_s = time.monotonic()
    await fleet.roll(overlap_s=0.05)
    assert time.monotonic() - began_s >= 0.05
    assert (fleet.names, fleet.moved) == ([["new"]], Moved(2, 2))


async def test_no_edge_is_waited_for_without_an_overlap(fleet: Fleet) -> None:
    fleet.uses["new"] = used(2, 0)
    await fleet.roll(overlap_s=0.0)
    assert (fleet.names, fleet.moved) == ([["new"]], Moved(2, 2))


async def test_an_edge_whose_other_model_alone_is_ready_is_waited_for(fleet: Fleet) -> None:
    both, served = frozenset({"net", "other"}), frozenset({"net", "other"})
    fleet.uses["old"] = ReplicaUse(served, (EdgeUse("edge", both, True),), 1, 1)
    switched = ReplicaUse(served, (EdgeUse("edge", both, True),), 1, 1)
    fleet.moving = [ReplicaUse(served, (EdgeUse("edge", frozenset({"net"}), True),), 1, 1)] * 5
    fleet.uses["new"] = switched
    await fleet.roll()
    assert not fleet.moving  # as long as it was so the old one stayed
    assert (fleet.names, fleet.moved) == ([["new"]], Moved(1, 0))


@pytest.mark.parametrize(("rule", "begun"), [((1, 8), 3), ((1, 2), 2), ((5, 8), 5)])
async def test_it_begins_with_as_many_replicas_as_the_load_has_made_of_the_old_one(
    fleet: Fleet, rule: tuple[int, int], begun: int
) -> None:
    fleet.clouds = [["old", "older", "oldest"]]
    fleet.registers = False
    with pytest.raises(Unavailable):
        await fleet.roll(rule=AutoscalingRule(*rule))
    assert fleet.asked_for == begun


async def test_a_version_that_does_not_start_leaves_all_as_it_was(fleet: Fleet) -> None:
    fleet.starts = False
    with pytest.raises(InvalidModel):
        await fleet.roll()
    assert (fleet.happened, fleet.clouds) == ([], [["old"]])


async def test_a_version_that_does_not_register_is_dropped(fleet: Fleet) -> None:
    fleet.registers = False
    with pytest.raises(Unavailable, match="0 of 1 registered"):
        await fleet.roll()
    assert (fleet.happened, fleet.clouds) == (["start", "drop new"], [["old"]])


async def test_an_old_replica_that_starts_meanwhile_is_no_new_one(fleet: Fleet) -> None:
    fleet.registers, fleet.old_scales_up = False, True
    with pytest.raises(Unavailable, match="0 of 1 registered"):
        await fleet.roll()
    assert (fleet.happened, fleet.clouds) == (["start", "drop new"], [["old", "old-2"]])


async def test_an_old_replica_that_starts_meanwhile_has_edges_to_lose(fleet: Fleet) -> None:
    fleet.old_scales_up = True
    fleet.uses["old-2"] = used(3, 3)
    began_s = time.monotonic()
    await fleet.roll(overlap_s=0.05)
    assert (fleet.names, time.monotonic() - began_s >= 0.05) == ([["new"]], True)


async def test_each_version_is_called_by_a_name_of_its_own(fleet: Fleet) -> None:
    await fleet.roll()
    first = fleet.prefix
    fleet.uses[f"{first}new"] = used(2, 2)
    await fleet.roll()
    assert fleet.clouds == [[f"{fleet.prefix}new"]]
    assert first != fleet.prefix


async def test_new_replicas_that_are_all_gone_are_dropped(fleet: Fleet) -> None:
    fleet.leaves = True
    with pytest.raises(Unavailable, match="all are gone from the registry"):
        await fleet.roll()
    assert (fleet.happened, fleet.clouds) == (["start", "edge there", "edge back", "drop new"], [["old"]])


async def test_new_replicas_that_may_go_while_nobody_uses_them_are_not_dropped_for_it(fleet: Fleet) -> None:
    fleet.leaves = True
    await fleet.roll(overlap_s=0.05, rule=AutoscalingRule(0, 2))
    assert (fleet.happened, fleet.clouds) == (["start", "edge there", "retire old"], [[]])


async def test_a_version_that_stops_answering_is_dropped_and_the_edge_moves_back(fleet: Fleet) -> None:
    fleet.silent = {"new"}
    with pytest.raises(Unavailable, match="do not stay healthy"):
        await fleet.roll()
    assert (fleet.happened, fleet.clouds) == (["start", "edge there", "edge back", "drop new"], [["old"]])


async def test_a_version_that_an_edge_refuses_is_dropped(fleet: Fleet) -> None:
    with pytest.raises(Unavailable, match="edge: no"):
        await fleet.roll(refused=True)
    assert (fleet.happened, fleet.clouds) == (["start", "edge back", "drop new"], [["old"]])


async def test_an_edge_by_itself_moves_back_as_far_as_it_came(fleet: Fleet) -> None:
    with pytest.raises(Unavailable, match="edge: no"):
        async with EdgeMove(fleet.refuses, fleet.back).made():
            raise AssertionError("it moved")
    assert fleet.happened == ["edge back"]


async def test_an_edge_that_does_not_go_back_is_told_of(fleet: Fleet) -> None:
    move = EdgeMove(fleet.refuses, fleet.refuses)
    with pytest.raises(Unavailable, match="edge: no; the edge may serve some of it, it does not go back: edge: no"):
        await RollOut(fleet, fleet.view, fleet.ask).run(SETTINGS, ONE, 30.0, move)
    assert fleet.clouds == [["old"]]


async def test_an_old_replica_that_is_gone_holds_nothing_up(fleet: Fleet) -> None:
    fleet.silent = {"old"}
    fleet.uses["new"] = used(0, 0)
    await fleet.roll()
    assert fleet.names == [["new"]]


Edges = dict[str, tuple[str, bool]]


def use(edges: Edges, models: str = "ab") -> ReplicaUse:
    """edges: the models (one letter each) that they have there, and whether they are settled, by id."""
    found = (EdgeUse(edge_id, frozenset(has), settled) for edge_id, (has, settled) in edges.items())
    return ReplicaUse(frozenset(models), tuple(found), len(edges), sum(settled for _, settled in edges.values()))


@pytest.mark.parametrize(
    ("old", "new", "moved"),
    [
        ([], [{}], Moved(0, 0)),
        ([{"one": ("ab", True)}], [{"one": ("ab", True)}], Moved(1, 0)),
        ([{"one": ("ab", True)}], [{"one": ("a", True)}], Moved(1, 1)),  # b is another version, which it has not
        ([{"one": ("a", True)}], [{"one": ("a", True)}], Moved(1, 0)),
        ([{"one": ("ab", True)}], [{"one": ("ab", False)}], Moved(1, 1)),
        ([{"one": ("a", True), "two": ("a", True)}], [{"one": ("a", True), "three": ("a", True)}], Moved(2, 1)),
        ([{"one": ("a", True)}, {"one": ("b", True)}], [{"one": ("a", True)}], Moved(1, 1)),
        ([{"one": ("a", True)}], [{"one": ("a", True)}, {}], Moved(1, 1)),
        ([{"one": ("", True)}], [{}], Moved(0, 0)),  # it has nothing to lose
        ([{"one": ("a", True)}], [], Moved(1, 1)),
    ],
)
def test_an_edge_has_moved_when_every_new_replica_has_for_it_what_any_old_one_had(
    old: list[Edges], new: list[Edges], moved: Moved
) -> None:
    assert moved_edges([use(one) for one in old], [use(one) for one in new]) == moved


def test_who_uses_a_model_that_the_new_version_does_not_serve_has_the_whole_overlap() -> None:
    assert moved_edges([use({"one": ("ab", True)})], [use({"one": ("a", True)}, models="a")]) == Moved(1, 1)


def test_edges_of_one_id_are_told_apart_by_their_number() -> None:
    edge = EdgeUse("one", frozenset("a"), True)
    models = frozenset("a")
    assert moved_edges([ReplicaUse(models, (edge, edge))], [ReplicaUse(models, (edge,))]) == Moved(2, 1)


@pytest.mark.parametrize(("settled", "left"), [(3, 0), (1, 2)])
def test_edges_that_an_older_version_does_not_name_are_counted(settled: int, left: int) -> None:
    old, new = ReplicaUse(frozenset("a"), (), 3, 3), ReplicaUse(frozenset("a"), (), 3, settled)
    assert moved_edges([old], [new]) == Moved(3, left)
