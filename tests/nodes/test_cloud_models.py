"""Models of a replica that come when they are wanted, and go when others need the room."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.errors import InvalidConfiguration, InvalidModel, NotFound, Overloaded
from nodes import cloud_models
from nodes.cloud_models import CloudModels, HeldModel, ServedModel, configured_models
from nodes.engines.eager import EagerEngine
from nodes.settings import CloudSettings, ModelArtifact
from partitioner.artifact import artifact_bytes, save_artifact
from partitioner.model import Model
from tests.nodes.sites import eventually, served_model, small_model

ENGINE = EagerEngine()
MODELS = tuple(small_model(seed, name) for seed, name in enumerate("abc"))
A, B, C = (model.digest for model in MODELS)


def holding(most: int, *models: Model) -> CloudModels:
    return CloudModels([served_model(model, ENGINE) for model in models or MODELS], most)


async def use(models: CloudModels, *digests: str) -> None:
    for digest in digests:
        async with models.using(digest) as held:
            assert held.model.digest == digest


async def test_the_least_recently_used_makes_room() -> None:
    models, gone = holding(2), list[str]()
    models.evicted = gone.append
    await use(models, A, B, A, C, B)
    assert gone == [B, A]
    counts = models.counts()
    assert (counts.held, counts.held_bytes, counts.loads, counts.evictions) == (2, 2, 4, 2)


async def test_what_fits_is_there_from_the_start() -> None:
    models = holding(2)
    await models.fill()
    assert models.counts().loads == 2
    await use(models, A, B)
    assert models.counts().loads == 2


async def test_one_that_is_used_stays_and_who_needs_its_room_waits_for_its_end() -> None:
    models = holding(1)
    async with models.using(A):
        waiting = asyncio.create_task(use(models, B))
        await asyncio.sleep(0.05)
        assert not waiting.done()
    await waiting
    assert models.counts().evictions == 1


async def test_one_in_constant_use_makes_room_when_its_turn_is_over_and_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cloud_models, "TURN_S", 0.05)
    models = holding(1)
    await use(models, A)
    over = asyncio.Event()

    async def in_constant_use() -> None:
        while not models.leaves(A):
            with models.in_use(A):
                await asyncio.sleep(0.01)
        over.set()

    using = asyncio.create_task(in_constant_use())
    await asyncio.sleep(0)
    began_s = time.monotonic()
    await asyncio.wait_for(use(models, B), 5.0)
    assert over.is_set()
    assert time.monotonic() - began_s > 0.03  # it had its turn
    assert not models.leaves(A)
    await using
    await use(models, A)
    assert models.counts().evictions == 2


async def test_who_wants_a_model_that_is_leaving_gets_it_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud_models, "TURN_S", 0.0)
    models = holding(1)
    await use(models, A)
    with models.in_use(A):
        second = asyncio.create_task(use(models, B))
        await eventually(lambda: models.leaves(A))
        again = asyncio.create_task(use(models, A))
        await asyncio.sleep(0.02)
        assert not again.done()
    await asyncio.wait_for(asyncio.gather(second, again), 5.0)
    assert models.counts().loads == 3


async def test_a_model_stays_that_was_to_go_for_one_that_gave_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud_models, "TURN_S", 0.0)
    monkeypatch.setattr(cloud_models, "ROOM_WAIT_S", 0.05)
    models = holding(1)
    await use(models, A)
    with models.in_use(A):
        with pytest.raises(Overloaded, match="no room for b"):
            await use(models, B)
        assert not models.leaves(A)
        await asyncio.wait_for(use(models, A), 5.0)
    assert models.counts().evictions == 0


async def test_where_no_room_comes_it_is_refused_in_words_and_taken_later(monkeypatch: pytest.MonkeyPatch) -> None:
    models = holding(1)
    monkeypatch.setattr(cloud_models, "ROOM_WAIT_S", 0.02)
    async with models.using(A):
        with pytest.raises(Overloaded, match=r"cloud\.model_memory: no room for b"):
            await use(models, B)
    await use(models, B)


async def test_who_wants_a_model_that_is_being_loaded_waits_for_that_also_where_the_first_gives_up() -> None:
    models = holding(3)
    first, *others = (asyncio.create_task(use(models, A)) for _ in range(4))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(*others)
    assert models.counts().loads == 1


async def test_a_model_that_cannot_be_loaded_leaves_its_room_to_others() -> None:
    def broken() -> HeldModel:
        raise InvalidModel("weights", "are gone")

    models = CloudModels([ServedModel("x", "d" * 64, 1, broken), served_model(MODELS[0], ENGINE)], 1)
    for _ in range(2):
        with pytest.raises(InvalidModel, match="are gone"):
            await use(models, "d" * 64)
    await use(models, A)
    assert models.counts().held_bytes == 1


async def test_an_artifact_that_is_another_model_by_now_is_refused() -> None:
    models = CloudModels([ServedModel("a", A, 1, lambda: HeldModel(MODELS[1], ENGINE))])
    with pytest.raises(InvalidModel, match="has changed since this replica started"):
        await use(models, A)


async def test_what_is_not_served_is_not_found() -> None:
    with pytest.raises(NotFound, match="model digest eeeeeeeeeeee is not served here"):
        await use(holding(1), "e" * 64)


@given(st.lists(st.tuples(st.sampled_from((A, B, C)), st.integers(0, 3)), max_size=30), st.integers(1, 3))
@settings(deadline=None)
def test_whatever_is_wanted_at_once_the_bound_holds_and_everybody_gets_theirs(
    wanted: list[tuple[str, int]], most: int
) -> None:
    models = holding(most)

    async def one(digest: str, turns: int) -> None:
        async with models.using(digest) as held:
            for _ in range(turns):
                await asyncio.sleep(0)
                assert models.counts().held_bytes <= most
            assert held.model.digest == digest

    async def everybody() -> None:
        await asyncio.gather(*(one(digest, turns) for digest, turns in wanted))

    asyncio.run(everybody())
    assert models.counts().held == models.counts().held_bytes


def configured(folder: Path, most_bytes: Callable[[int], int]) -> CloudModels:
    for model in MODELS[:2]:
        save_artifact(model.renamed("small"), folder / model.name)
    artifacts = tuple(ModelArtifact("small", str(folder / name)) for name in "ab")
    bound = most_bytes(artifact_bytes(folder / "a"))
    return configured_models(
        CloudSettings(artifacts, "127.0.0.1:0", "127.0.0.1:1", model_bytes=bound), lambda: EagerEngine(), ENGINE
    )


async def test_versions_of_one_model_are_served_side_by_side_each_with_an_engine_that_goes_with_it(
    tmp_path: Path,
) -> None:
    models = configured(tmp_path, lambda size: int(1.5 * size))
    assert [one.name for one in models.versions] == ["small", "small"]
    current, other = models.digests
    engines = []
    for digest in (current, other, current):
        async with models.using(digest) as held:
            engines.append(held.engine)
    assert len({id(engine) for engine in engines} - {id(ENGINE)}) == 3
    await eventually(lambda: models.counts().held == 1)


async def test_without_a_bound_all_share_an_engine_and_stay(tmp_path: Path) -> None:
    models = configured(tmp_path, lambda size: 0)
    await models.fill()
    async with models.using(models.digests[1]) as held:
        assert held.engine is ENGINE
    assert models.counts().held == 2


def test_a_model_that_does_not_fit_by_itself_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match=r"cloud\.model_memory: is less than the weights of small take"):
        configured(tmp_path, lambda size: size - 1)
