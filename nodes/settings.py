"""What it takes to run a node, as plain data that crosses process borders as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from isthmus.telemetry import DEFAULT_LOGS, LogSettings
from nodes.admission import DEFAULT_PROBABILITY
from nodes.batching import DEFAULT_LIMITS, BatchLimits
from nodes.byte_budget import MOST_CLIENT_BYTES, MOST_HELD_BYTES, MOST_KEPT_BYTES
from nodes.configured_policies import LATENCY_FOR_ALL, ConfiguredPolicies
from nodes.limits import CLOUD_LIMITS, EDGE_LIMITS, NodeLimits
from nodes.tls_files import TlsFiles

__all__ = ["COMPILING_ENGINES", "CloudSettings", "EdgeSettings", "JournalSettings", "ModelArtifact", "start_timeout_s"]

COMPILING_ENGINES = frozenset({"aot", "inductor"})


def start_timeout_s(engine: str, told_s: float | None = None) -> float:
    """How long a node may take to start: as it is told, else by its engine; one that compiles whole models first takes
    minutes, once."""
    if told_s is not None:
        return told_s
    return 3600.0 if engine in COMPILING_ENGINES else 120.0


@dataclass(frozen=True, slots=True)
class ModelArtifact:
    """A model by the name it is served under, the folder of its artifact, and plans (JSON) to offer besides others.

    others: folders of other versions of it, which replicas serve too.
    """

    name: str
    folder: str
    plans: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelArtifact:
        """What `asdict` made, after JSON."""
        return cls(data["name"], data["folder"], tuple(data["plans"]), tuple(data["others"]))

    @property
    def path(self) -> Path:
        """The artifact's folder."""
        return Path(self.folder)


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """Where an edge keeps its decisions on disk, and how many bytes of them at most."""

    folder: str
    most_bytes: int


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """One cloud replica. models: of one name the first is the current version. listen, advertise, registry:
    "HOST:PORT"; advertise "" means the address it is bound to, and where that is every one of the machine's, that from
    which it reaches the registry. route, connection_age_s: see `nodes.replica_endpoint`. model_bytes: of the weights
    that it holds at once, 0 for all of them always.

    tls: None for ports in clear. require_clients: only clients with a certificate of the authority get in.
    tls_server_name: what edges shall expect in the certificate, "" for the host that they dial.
    held_bytes: the most that is held of requests and answers, encoded. drain_s: how long accepted requests may take
    when the replica goes. starts_within_s: else it has failed to start; None for `start_timeout_s`. metrics_listen:
    where Prometheus asks, "" for no such port. paced_by: of the engine `paced`, the file of a device profile.
    id_prefix: of the id that it gives itself, by which a roll-out knows its own.
    """

    start_limit_key: ClassVar[str] = "cloud.start_timeout"  # of the configuration

    models: tuple[ModelArtifact, ...]
    listen: str
    registry: str
    advertise: str = ""
    engine: str = "eager"
    device: str = "cpu"
    threads: int = 1
    tls: TlsFiles | None = None
    require_clients: bool = True
    tls_server_name: str = ""
    drain_s: float = 10.0
    batching: BatchLimits = DEFAULT_LIMITS
    limits: NodeLimits = CLOUD_LIMITS
    held_bytes: int = MOST_HELD_BYTES
    metrics_listen: str = ""
    paced_by: str = ""
    route: Mapping[str, str] = field(default_factory=dict, hash=False)
    connection_age_s: float = 0.0
    model_bytes: int = 0
    id_prefix: str = ""
    starts_within_s: float | None = None
    log: LogSettings = DEFAULT_LOGS

    @property
    def start_limit_s(self) -> float:
        """How long it may take to start."""
        return start_timeout_s(self.engine, self.starts_within_s)

    def to_json(self) -> str:
        """`from_json` reads it back equal."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> CloudSettings:
        """Read what `to_json` wrote."""
        return cls(**_settings(text))


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """One edge. slowdown: emulated, 1.0 for none. registry "": no cloud at all.

    policies: in force from the start.
    tls: None for a gateway in clear and peers in clear. require_clients: as for a replica.
    kept_bytes: see `EdgeNode`. client_bytes: see `GatewayService`. hedge_percentile: see `Hedging`.
    admission_probability: see `nodes.admission.DEFAULT_PROBABILITY`. decision_log: None to keep the last
    decisions in memory only. metrics_listen: as for a replica. page_listen: where browsers see the edge, "" for no such
    port; where it is the metrics' address, both are at one port. memory_folder: where it keeps what it measured for its
    next start, "" for nowhere. starts_within_s: as for a replica.
    """

    start_limit_key: ClassVar[str] = "edge.start_timeout"

    models: tuple[ModelArtifact, ...]
    listen: str
    registry: str
    policies: ConfiguredPolicies = LATENCY_FOR_ALL
    engine: str = "eager"
    device: str = "cpu"
    threads: int = 1
    slowdown: float = 1.0
    tls: TlsFiles | None = None
    require_clients: bool = False
    kept_bytes: int = MOST_KEPT_BYTES
    client_bytes: int = MOST_CLIENT_BYTES
    hedge_percentile: float | None = None
    drain_s: float = 10.0
    batching: BatchLimits = DEFAULT_LIMITS
    limits: NodeLimits = EDGE_LIMITS
    decision_log: JournalSettings | None = None
    metrics_listen: str = ""
    admission_probability: float = DEFAULT_PROBABILITY
    page_listen: str = ""
    memory_folder: str = ""
    starts_within_s: float | None = None
    log: LogSettings = DEFAULT_LOGS

    @property
    def start_limit_s(self) -> float:
        """How long it may take to start."""
        return start_timeout_s(self.engine, self.starts_within_s)

    def to_json(self) -> str:
        """`from_json` reads it back equal."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> EdgeSettings:
        """Read what `to_json` wrote."""
        settings = _settings(text)
        decision_log = settings["decision_log"] and JournalSettings(**settings["decision_log"])
        policies = ConfiguredPolicies.from_dict(settings["policies"])
        return cls(**{**settings, "decision_log": decision_log, "policies": policies})


def _settings(text: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(text)
    tls = data["tls"] and TlsFiles(**data["tls"])
    plain = {"batching": BatchLimits(**data["batching"]), "limits": NodeLimits(**data["limits"])}
    plain |= {"log": LogSettings(**data["log"])}
    return {**data, **plain, "tls": tls, "models": tuple(map(ModelArtifact.from_dict, data["models"]))}
