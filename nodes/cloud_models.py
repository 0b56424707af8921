"""The models that a replica serves, some of them in several versions, of which it holds as many as a bound on their
weights allows: each is loaded when it is wanted, and the least recently used that has no work makes room for it."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from isthmus.errors import InvalidConfiguration, InvalidModel, NotFound, Overloaded
from isthmus.telemetry import get_logger
from nodes.background import run_apart
from nodes.engines.base import Engine
from nodes.engines.held_weights import engines_bytes
from nodes.fleet import ModelVersion
from nodes.model_loading import load_model
from nodes.settings import CloudSettings, ModelArtifact
from partitioner.artifact import artifact_bytes, artifact_digest
from partitioner.model import Model

__all__ = ["CloudModels", "HeldModel", "ModelCounts", "ServedModel", "configured_models"]

ROOM_WAIT_S = 30.0
"""How long a model waits for others to end their work."""
TURN_S = 10.0
"""How long a model in constant use stays while another one waits for its room: then it takes no more work, and goes
when what it has is done."""


@dataclass(frozen=True, slots=True)
class HeldModel:
    """A model in memory, and the engine that holds what is made of its weights."""

    model: Model
    engine: Engine


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A version of a model that the configuration names. size_bytes: of its weights. load: blocking; raises
    InvalidModel."""

    name: str
    digest: str
    size_bytes: int
    load: Callable[[], HeldModel]


@dataclass(frozen=True, slots=True)
class ModelCounts:
    """held, held_bytes, engine_bytes: now; the last are the copies that engines hold besides. loads, evictions: since
    the start."""

    held: int
    held_bytes: int
    engine_bytes: int
    loads: int
    evictions: int


class CloudModels:
    """Use it from one event loop. Whoever uses a model holds it: it does not go before the last of them is done.

    Invariant: what is held or being loaded takes no more than the bound, one that is larger by itself apart, which
    `configured_models` refuses.
    """

    def __init__(self, served: Sequence[ServedModel], most_bytes: float = math.inf) -> None:
        """served: of a name with several versions the first is the one that is current."""
        self._served = {one.digest: one for one in served}
        self._most_bytes = most_bytes
        self._held: OrderedDict[str, HeldModel] = OrderedDict()
        self._loading: dict[str, asyncio.Task[HeldModel]] = {}
        self._users: Counter[str] = Counter()
        self._since_s: dict[str, float] = {}  # when each that is held was loaded
        self._leaving: str | None = None  # of those that are held
        self._left = asyncio.Event()  # some model is not leaving any more, be it that it has gone
        self._taken_bytes, self._loads, self._evictions = 0, 0, 0
        self._released = asyncio.Event()
        self._log = get_logger("cloud")
        self.evicted: Callable[[str], None] = lambda digest: None
        """Called when a model goes, so that whoever made something of it lets go."""

    @classmethod
    def holding(cls, models: Mapping[str, Model], engine: Engine) -> CloudModels:
        """Of models that are loaded, by name, and stay."""
        made = cls([_loaded(name, HeldModel(model, engine)) for name, model in models.items()])
        made._held.update((model.digest, HeldModel(model, engine)) for model in models.values())
        return made

    @property
    def versions(self) -> tuple[ModelVersion, ...]:
        """All that is served, held or not. Of a name the current version comes last: who knows one alone takes that."""
        return tuple(ModelVersion(one.name, one.digest) for one in reversed(self._served.values()))

    @property
    def digests(self) -> tuple[str, ...]:
        """Of all that is served."""
        return tuple(self._served)

    def counts(self) -> ModelCounts:
        """What is held, and what came and went."""
        copies = engines_bytes(held.engine for held in self._held.values())
        return ModelCounts(len(self._held), self._taken_bytes, copies, self._loads, self._evictions)

    async def fill(self) -> None:
        """Load what fits, in the order of the configuration. Raises InvalidModel."""
        for one in self._served.values():
            if self._taken_bytes + one.size_bytes <= self._most_bytes:
                async with self.using(one.digest):
                    pass

    def check_served(self, digest: str) -> None:
        """Raises NotFound for a digest that is not."""
        if digest not in self._served:
            raise NotFound(f"model digest {digest[:12]} is not served here")

    @contextlib.asynccontextmanager
    async def using(self, digest: str) -> AsyncIterator[HeldModel]:
        """A model, loaded first where it is not there, which may wait for others' work to end.

        Raises NotFound for a digest that is not served, Overloaded where there is no room in time, InvalidModel.
        """
        self.check_served(digest)
        await self._not_leaving(digest)
        with self.in_use(digest):
            yield await self._wanted(digest)

    def leaves(self, digest: str) -> bool:
        """Whether it takes no more work, since another one waits for its room."""
        return digest == self._leaving

    async def _not_leaving(self, digest: str) -> None:
        """Whoever wants a model that is leaving wants it anew: else it would never go."""
        try:
            async with asyncio.timeout(ROOM_WAIT_S):
                while digest == self._leaving:
                    self._left.clear()
                    await self._left.wait()
        except TimeoutError:
            raise self._no_room(self._served[digest]) from None

    @contextlib.contextmanager
    def in_use(self, digest: str) -> Iterator[None]:
        """In the block the model does not go, if it is there."""
        self._users[digest] += 1
        if digest in self._held:
            self._held.move_to_end(digest)
        try:
            yield
        finally:
            self._users[digest] -= 1
            if not self._users[digest]:
                del self._users[digest]
                self._released.set()

    async def _wanted(self, digest: str) -> HeldModel:
        held = self._held.get(digest)
        if held is not None:
            return held
        if digest not in self._loading:
            self._loading[digest] = asyncio.create_task(self._load(self._served[digest]))
            self._loading[digest].add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(self._loading[digest])  # others may wait for it too

    async def _load(self, wanted: ServedModel) -> HeldModel:
        try:
            await self._make_room(wanted)
            self._taken_bytes += wanted.size_bytes
            try:
                held = await run_apart(wanted.load)
                if held.model.digest != wanted.digest:
                    raise InvalidModel("models.source", "its artifact has changed since this replica started")
            except BaseException:
                self._taken_bytes -= wanted.size_bytes
                self._released.set()
                raise
            self._held[wanted.digest] = held
            self._since_s[wanted.digest] = time.monotonic()
            self._loads += 1
            self._log.info("model loaded", model=wanted.name, digest=wanted.digest[:12], held_bytes=self._taken_bytes)
            return held
        finally:
            del self._loading[wanted.digest]

    async def _make_room(self, wanted: ServedModel) -> None:
        try:
            async with asyncio.timeout(ROOM_WAIT_S):
                while self._taken_bytes + wanted.size_bytes > self._most_bytes:
                    self._released.clear()
                    if not self._evict_one():
                        with contextlib.suppress(TimeoutError):
                            async with asyncio.timeout(self._send_one_away()):
                                await self._released.wait()
        except TimeoutError:
            raise self._no_room(wanted) from None
        finally:
            self._stay()

    def _send_one_away(self) -> float | None:
        """Have the model that is held for the longest take no more work, once its turn is over: until then; None where
        one is leaving, and where none is held."""
        if self._leaving is not None or not self._held:
            return None
        longest = min(self._held, key=self._since_of)
        turn_s = self._since_of(longest) + TURN_S - time.monotonic()
        if turn_s > 0:
            return turn_s
        self._leaving = longest
        return None

    def _since_of(self, digest: str) -> float:
        return self._since_s.get(digest, -math.inf)

    def _stay(self) -> None:
        """Nobody waits for room now, or whoever does says so anew."""
        self._leaving = None
        self._left.set()
        self._released.set()

    def _no_room(self, wanted: ServedModel) -> Overloaded:
        said = f"cloud.model_memory: no room for {wanted.name}, the models that are held have work"
        return Overloaded(f"{said}; raise it, or try again later", retry_after_s=ROOM_WAIT_S)

    def _evict_one(self) -> bool:
        """Let the least recently used model go that nobody uses; whether there was one."""
        digest = next((digest for digest in self._held if digest not in self._users), None)
        if digest is None:
            return False
        del self._held[digest]
        self._since_s.pop(digest, None)
        if digest == self._leaving:
            self._leaving = None
            self._left.set()
        gone = self._served[digest]
        self._taken_bytes -= gone.size_bytes
        self._evictions += 1
        self.evicted(digest)
        self._log.info("model let go", model=gone.name, digest=digest[:12], held_bytes=self._taken_bytes)
        return True


def _loaded(name: str, held: HeldModel) -> ServedModel:
    return ServedModel(name, held.model.digest, 0, lambda: held)


def configured_models(settings: CloudSettings, make_engine: Callable[[], Engine], engine: Engine) -> CloudModels:
    """Those of a replica's settings; nothing is loaded yet. Blocking.

    With a bound each model gets an engine of its own, which goes with it; without one all share `engine`. Raises
    InvalidModel for a folder that holds none, InvalidConfiguration where one does not fit the bound by itself.
    """
    bounded = settings.model_bytes > 0
    served = [_of_artifact(one, make_engine if bounded else lambda: engine) for one in settings.models]
    for one in served:
        if bounded and one.size_bytes > settings.model_bytes:
            problem = f"is less than the weights of {one.name} take, {one.size_bytes} bytes"
            raise InvalidConfiguration("cloud.model_memory", problem, value=settings.model_bytes, remedy="raise it")
    return CloudModels(served, settings.model_bytes if bounded else math.inf)


def _of_artifact(artifact: ModelArtifact, make_engine: Callable[[], Engine]) -> ServedModel:
    load = partial(_load, artifact, make_engine)
    return ServedModel(artifact.name, artifact_digest(artifact.path), artifact_bytes(artifact.path), load)


def _load(artifact: ModelArtifact, make_engine: Callable[[], Engine]) -> HeldModel:
    return HeldModel(load_model(artifact), make_engine())
