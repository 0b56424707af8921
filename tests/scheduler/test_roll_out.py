"""Blue-green: what is started, moved and taken away when, and what is left when the new version is no good."""

from __future__ import annotations

import time

import pytest

from isthmus.errors import InvalidModel, Unavailable
from nodes.configured_policies import ConfiguredPolicies
from nodes.fleet import Endpoint, FleetView, Replica
from nodes.settings import CloudSettings, EdgeSettings
from scheduler import roll_out
from scheduler.autoscaling import AutoscalingRule
from scheduler.roll_out import EdgeMove, ReplicaUse, RollOut, edges_have_moved

ONE = AutoscalingRule.fixed(1)
SETTINGS = CloudSettings((), "127.0.0.1:0", "127.0.0.1:1")


class Fleet:
    """A runtime without nodes: replicas are names in a registry's view, and all that happens is written down."""

    def __init__(self) -> None:
        self.clouds = [["old"]]
        self.uses = {"old": ReplicaUse(2, 2), "new": ReplicaUse(2, 2)}
        self.happened: list[str] = []
        self.starts, self.registers = True, True
        self.old_scales_up, self.leaves = False, False
        self.silent: set[str] = set()
        self.moving: list[ReplicaUse] = []  # what the new one says before `uses`
        self.asked_for = 0
        self.prefix = ""

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

    takes_over = False

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
        await RollOut(self, self.view, self.ask).run(SETTINGS, rule, overlap_s, move)


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.setattr(roll_out, "LOOK_S", 0.001)
    monkeypatch.setattr(roll_out, "REGISTER_S", 0.02)
    return Fleet()


async def test_the_old_one_goes_only_when_the_edges_have_moved(fleet: Fleet) -> None:
    fleet.moving = [ReplicaUse(0, 0), ReplicaUse(2, 0), ReplicaUse(2, 1)]
    await fleet.roll()
    assert not fleet.moving  # all of it was heard before
    assert fleet.happened == ["start", "edge there", "retire old"]
    assert fleet.names == [["new"]]


async def test_edges_that_do_not_move_are_waited_for_as_long_as_the_overlap(fleet: Fleet) -> None:
    fleet.uses["new"] = ReplicaUse(2, 0)
    began_s = time.monotonic()
    await fleet.roll(overlap_s=0.05)
    assert time.monotonic() - began_s >= 0.05
    assert fleet.names == [["new"]]


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
    fleet.uses["old-2"] = ReplicaUse(3, 3)
    began_s = time.monotonic()
    await fleet.roll(overlap_s=0.05)
    assert (fleet.names, time.monotonic() - began_s >= 0.05) == ([["new"]], True)


async def test_each_version_is_called_by_a_name_of_its_own(fleet: Fleet) -> None:
    await fleet.roll()
    first = fleet.prefix
    fleet.uses[f"{first}new"] = ReplicaUse(2, 2)
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
    fleet.uses["new"] = ReplicaUse(0, 0)
    await fleet.roll()
    assert fleet.names == [["new"]]


@pytest.mark.parametrize(
    ("old", "new", "moved"),
    [
        ([], [(0, 0)], True),
        ([(2, 2)], [(2, 2)], True),
        ([(2, 2), (3, 3)], [(3, 3), (3, 2)], False),
        ([(2, 2)], [(2, 1)], False),
        ([(0, 0)], [], False),
    ],
)
def test_edges_have_moved_when_every_new_replica_is_ready_for_as_many(
    old: list[tuple[int, int]], new: list[tuple[int, int]], moved: bool
) -> None:
    assert edges_have_moved([ReplicaUse(*one) for one in old], [ReplicaUse(*one) for one in new]) is moved
