"""The models that an edge is configured with: which are loaded, and how one is made again after it was let go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from isthmus.errors import InvalidModel, NotFound, Unavailable
from nodes.gateway import ModelState
from nodes.model_runtime import ModelRuntime, ReadyPlan
from nodes.plan_builder import PlanBuilder
from partitioner.model import Model

__all__ = ["LoadModel", "LoadedModel", "ModelShelf"]


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model and what builds its plans."""

    model: Model
    builder: PlanBuilder


LoadModel = Callable[[str], Awaitable[LoadedModel]]
"""Loads a configured model by its name, from the artifact that the configuration names."""


class ModelShelf:
    """Loaded models by name. Taking one down stops its serving at once; requests under way hold what they need."""

    def __init__(self, models: Mapping[str, LoadedModel], load: LoadModel) -> None:
        """models: the configured ones. load: makes one of them again."""
        self.runtimes = {name: ModelRuntime(loaded.model) for name, loaded in models.items()}
        self.builders = {name: loaded.builder for name, loaded in models.items()}
        self._digests = {name: loaded.model.digest for name, loaded in models.items()}
        self._load = load
        self._loading: set[str] = set()

    @property
    def names(self) -> tuple[str, ...]:
        """Every configured model, loaded or not."""
        return tuple(self._digests)

    @property
    def digests(self) -> Mapping[str, str]:
        """The version of every configured model, loaded or not."""
        return dict(self._digests)

    def states(self) -> tuple[ModelState, ...]:
        """What has become of each."""
        return tuple(map(self._state, self._digests))

    def _state(self, name: str) -> ModelState:
        runtime = self.runtimes.get(name)
        if runtime is not None:
            version = runtime.description.version
            return ModelState(name, version, "READY", cloud_required=runtime.cloud_required)
        if name in self._loading:
            return ModelState(name, "", "LOADING")
        return ModelState(name, "", "UNAVAILABLE", "unloaded")

    def check_configured(self, name: str) -> None:
        """Raises NotFound for a name that the configuration does not have."""
        if name not in self._digests:
            raise NotFound(f"model {name!r} is not served here; models: {', '.join(sorted(self._digests))}")

    def runtime(self, name: str) -> ModelRuntime:
        """A loaded model. Raises NotFound."""
        runtime = self.runtimes.get(name)
        if runtime is None:
            self.check_configured(name)
            raise NotFound(f"model {name!r} is not loaded; load it first")
        return runtime

    async def put_back(self, name: str, edge_only: Callable[[PlanBuilder], Awaitable[tuple[ReadyPlan, ...]]]) -> None:
        """Load a configured model again and serve it with the plans that need no cloud, which `edge_only` measures.

        Raises Unavailable when its artifact cannot be read, or is not the one that this edge started with: what was
        measured and what the replicas hold is of that one.
        """
        self._loading.add(name)
        try:
            try:
                loaded = await self._load(name)
            except InvalidModel as error:
                raise Unavailable(f"model {name}: its artifact cannot be used: {error}; import it again") from error
            if loaded.model.digest != self._digests[name]:
                raise Unavailable(f"model {name}: its artifact has changed; load it again, or restart the edge")
            runtime = ModelRuntime(loaded.model)
            runtime.offer(await edge_only(loaded.builder))
            self.builders[name], self.runtimes[name] = loaded.builder, runtime
        finally:
            self._loading.discard(name)

    def replace(self, loaded: LoadedModel, runtime: ModelRuntime) -> None:
        """Serve another version of a configured model from now on."""
        name = loaded.model.name
        self.builders[name], self.runtimes[name] = loaded.builder, runtime
        self._digests[name] = loaded.model.digest

    def expect(self, model: Model) -> None:
        """Of a configured model that is not loaded this is the version from now on."""
        self._digests[model.name] = model.digest

    def take_down(self, name: str) -> None:
        """Serve it no longer."""
        self.runtimes.pop(name, None)

    def forget(self, name: str) -> None:
        """Let go of all that it holds."""
        self.take_down(name)
        self.builders.pop(name, None)
