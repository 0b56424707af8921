"""What replicas say of an edge that is to move from one version of its second model to the next."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from nodes.fleet import Endpoint, FleetView, Replica
from nodes.model_shelf import LoadedModel
from nodes.transport import segment_server
from nodes.transport.fleet_survey import look_at_replica
from scheduler.roll_out import Moved, ReplicaUse, moved_edges
from tests.nodes.sites import Cloud, eventually
from tests.nodes.test_model_planning import FIRST, NEXT, SECOND, Site, builder_of, measured, site

__all__ = ["measured", "site"]

WAIT_S = 10.0


@pytest.fixture
async def versions() -> AsyncIterator[tuple[Cloud, Cloud]]:
    """A replica of the version that serves, and one of the next."""
    old, new = await Cloud.start([FIRST, SECOND], "old"), await Cloud.start([FIRST, NEXT], "new")
    yield old, new
    for cloud in (old, new):
        await cloud.stop()


async def use(cloud: Cloud) -> ReplicaUse:
    said = await look_at_replica(Endpoint(cloud.target), None, WAIT_S)
    return ReplicaUse(frozenset(one.name for one in said.versions), said.edges)


async def moved(versions: tuple[Cloud, Cloud]) -> Moved:
    old, new = versions
    return moved_edges([await use(old)], [await use(new)])


async def test_an_edge_moves_when_it_has_switched_and_not_when_its_other_model_is_prepared(
    site: Site, versions: tuple[Cloud, Cloud], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment_server, "SETTLED_S", 0.0)
    replicas = (Replica(cloud.node.describe().replica_id, Endpoint(cloud.target)) for cloud in versions)
    site.edge.replicas.follow(FleetView(1, tuple(replicas)))
    await eventually(lambda: len(site.edge.replicas.connections) == 2)
    [there] = (await use(versions[1])).edges
    assert (there.models, there.settled) == (frozenset({"first"}), True)
    assert await moved(versions) == Moved(1, 1)
    await site.edge.switch_model(LoadedModel(NEXT, builder_of(NEXT)))
    assert await moved(versions) == Moved(1, 0)
    assert await site.finisher(NEXT) == "cloud"
