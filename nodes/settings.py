"""What it takes to run a node, as plain data that crosses process borders as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["CloudSettings", "EdgeSettings", "ModelArtifact"]


@dataclass(frozen=True, slots=True)
class ModelArtifact:
    """A model by the name it is served under, the folder of its artifact, and plans (JSON) to offer besides others."""

    name: str
    folder: str
    plans: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """The artifact's folder."""
        return Path(self.folder)


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """One cloud replica. listen, advertise, registry: "HOST:PORT"; advertise "" means the address it is bound to.

    drain_s: how long accepted requests may take when the replica goes.
    """

    models: tuple[ModelArtifact, ...]
    listen: str
    registry: str
    advertise: str = ""
    engine: str = "eager"
    device: str = "cpu"
    threads: int = 1
    drain_s: float = 10.0

    def to_json(self) -> str:
        """`from_json` reads it back equal."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> CloudSettings:
        """Read what `to_json` wrote."""
        data = json.loads(text)
        return cls(**{**data, "models": tuple(_artifact(model) for model in data["models"])})


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """One edge. slowdown: emulated, 1.0 for none. policy: the configured one's name. registry "": no cloud at all."""

    models: tuple[ModelArtifact, ...]
    listen: str
    registry: str
    policy: str = "latency"
    engine: str = "eager"
    device: str = "cpu"
    threads: int = 1
    slowdown: float = 1.0
    drain_s: float = 10.0

    def to_json(self) -> str:
        """`from_json` reads it back equal."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> EdgeSettings:
        """Read what `to_json` wrote."""
        data = json.loads(text)
        return cls(**{**data, "models": tuple(_artifact(model) for model in data["models"])})


def _artifact(data: dict[str, Any]) -> ModelArtifact:
    return ModelArtifact(data["name"], data["folder"], tuple(data["plans"]))
