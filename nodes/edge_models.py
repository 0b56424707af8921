"""The models that an edge is configured with, each loaded from the artifact that is its version now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from isthmus.errors import NotFound
from nodes.background import run_apart
from nodes.compute_pool import ComputePool
from nodes.engines.base import Engine
from nodes.model_loading import load_models
from nodes.model_shelf import LoadedModel
from nodes.plan_builder import PlanBuilder
from nodes.settings import EdgeSettings, ModelArtifact
from partitioner.model import Model
from partitioner.plan import Plan

__all__ = ["EdgeModels"]


class EdgeModels:
    """By name."""

    def __init__(self, settings: EdgeSettings, make_engine: Callable[[], Engine], pool: ComputePool) -> None:
        """make_engine: not slowed; of each version that is loaded, so that what it makes of the weights goes with them.
        pool: plans are built where they are measured."""
        self._settings, self._make_engine, self._pool = settings, make_engine, pool
        self._artifacts = {artifact.name: artifact for artifact in settings.models}

    async def load(self, name: str, model: Model | None = None) -> LoadedModel:
        """With what its plans are made by. model: where it is loaded already. Raises InvalidModel."""
        artifact, own = self._artifacts[name], self._settings
        given = tuple(map(Plan.from_json, artifact.plans))
        model = model or (await run_apart(load_models, (artifact,)))[name]
        engine = await run_apart(self._make_engine)
        builder = await self._pool.run(PlanBuilder, model, engine, own.slowdown, given, own.batching, own.limits)
        return LoadedModel(model, builder)

    async def switch(self, artifact: ModelArtifact, serve: Callable[[LoadedModel], Awaitable[None]]) -> None:
        """Take another version of a configured model. serve: puts it in the place of the one before.

        Raises NotFound for a model that is not configured, InvalidModel, what `serve` raises; the version before stays.
        """
        if artifact.name not in self._artifacts:
            raise NotFound(f"model {artifact.name!r} is not served here; add it with a restart")
        before, self._artifacts[artifact.name] = self._artifacts[artifact.name], artifact
        try:
            await serve(await self.load(artifact.name))
        except BaseException:
            self._artifacts[artifact.name] = before
            raise
