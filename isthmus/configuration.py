"""The configuration file: models, edge, cloud, link, policies; errors name the key and the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError

from isthmus.addresses import is_loopback, parse_address
from isthmus.autoscaling_configuration import MOST_REPLICAS, AutoscalingConfiguration
from isthmus.configuration_fields import (
    Address,
    Bandwidth,
    ClusterAddress,
    Duration,
    FilePath,
    MetadataKey,
    RouteValue,
    Section,
    Size,
)
from isthmus.errors import InvalidConfiguration
from isthmus.limits_configuration import CloudLimitsConfiguration, EdgeLimitsConfiguration
from isthmus.logs_configuration import LogsConfiguration
from isthmus.policy_configuration import NamedPolicy, PolicyConfiguration
from isthmus.units import format_bandwidth, format_duration, parse_duration_s
from isthmus.yaml_file import read_mapping
from nodes.admission import DEFAULT_PROBABILITY
from nodes.batching import DEFAULT_LIMITS, LARGEST_BATCH, LONGEST_DELAY_S, BatchLimits
from nodes.byte_budget import MOST_KEPT_BYTES
from nodes.fleet import MAX_METADATA
from nodes.hedging import MOST_PERCENTILE
from nodes.tls_files import TlsFiles
from scheduler.autoscaling import AutoscalingRule

__all__ = [
    "AdmissionConfiguration",
    "BatchingConfiguration",
    "CloudConfiguration",
    "Configuration",
    "DecisionLogConfiguration",
    "EdgeConfiguration",
    "LinkConfiguration",
    "ModelConfiguration",
    "TlsConfiguration",
    "files_of",
    "read_configuration",
]


EngineName = Literal["eager", "onnxruntime", "inductor", "aot"]
StartTimeout = Annotated[Duration | None, Field(ge=1.0, le=86400.0, allow_inf_nan=False)]
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"


def _delay(value: object) -> object:
    return parse_duration_s(value, "batching.max_delay") if isinstance(value, str | int | float) else value


class ModelConfiguration(Section):
    """A model to serve: under which name, and where it comes from (artifact folder, file or `module:callable`).

    plans: files that `isthmus partition -o` wrote, which the edge offers besides those that it finds itself. versions:
    sources of other versions, which replicas serve too, for edges that have not switched. policy: for its requests,
    unless their class has one; left out, that of the whole file.
    """

    name: str = Field(pattern=NAME_PATTERN)
    source: str = Field(min_length=1)
    plans: tuple[str, ...] = ()
    versions: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    policy: NamedPolicy | None = None


class TlsConfiguration(Section):
    """TLS of one side: for the ports it serves and, as a client's certificate, for those it dials. PEM files.

    authority: signs the certificates of those that this side talks to, "" for what the system trusts.
    require_clients: who dials this side must show a certificate of the authority; left out, the cloud asks for one and
    the edge's gateway does not. server_name: what edges shall expect in the cloud's certificate, where it is not the
    host that they dial.
    """

    certificate: FilePath = Field(min_length=1)
    key: FilePath = Field(min_length=1)
    authority: FilePath = ""
    require_clients: bool | None = None
    server_name: str = ""


def files_of(tls: TlsConfiguration | None) -> TlsFiles | None:
    """As nodes take them; None for a side in clear."""
    return None if tls is None else TlsFiles(tls.authority, tls.certificate, tls.key)


class BatchingConfiguration(Section):
    """Running several requests as one where the measured times say that it pays.

    max_batch: items, 1 to turn it off. max_delay: how long an idle engine may hold a request for others, 0 for never.
    """

    max_batch: int = Field(default=DEFAULT_LIMITS.max_batch, ge=1, le=LARGEST_BATCH)
    max_delay: Annotated[float, BeforeValidator(_delay)] = Field(
        default=DEFAULT_LIMITS.max_delay_s, ge=0.0, le=LONGEST_DELAY_S, allow_inf_nan=False
    )

    @property
    def limits(self) -> BatchLimits:
        """As a node takes it."""
        return BatchLimits(self.max_batch, self.max_delay)


class AdmissionConfiguration(Section):
    """Which requests with a deadline are let in. probability: of ending in time, that a request must have while others
    are under way; an idle edge refuses only what cannot."""

    probability: float = Field(default=DEFAULT_PROBABILITY, ge=0.5, lt=1.0, allow_inf_nan=False)


class DecisionLogConfiguration(Section):
    """Every decision of the edge on disk, with what it was made from and what became of it.

    folder: beside the configuration file where it is relative; an edge needs one of its own. max_size: of all files
    together, the oldest go first.
    """

    folder: FilePath = Field(min_length=1)
    max_size: Size = Field(default=256 << 20, ge=16 << 20)


class EdgeConfiguration(Section):
    """The edge. emulate_slowdown is for demos and tests: the edge sleeps after its work, and every output says so.

    insecure: listen beyond this machine although there is no TLS. start_timeout: how long it may take to start; left
    out, two minutes, an hour where the engine compiles. kept_memory: the most that is kept of boundary tensors while
    their answers are awaited, and of inputs that wait for a replica; requests beyond it are refused.
    hedge_percentile: a request whose answer is later than so many of 100 are, for its prediction, is sent to a second
    replica too; left out, none is.
    metrics_listen: where Prometheus asks; page_listen: where browsers see the edge, the same address for one port with
    both; left out, there is no such port.
    """

    listen: Address = "127.0.0.1:8001"
    registry: Address = "127.0.0.1:8100"
    runtime: Literal["ray", "process"] = "ray"
    engine: EngineName = "eager"
    device: Literal["cpu", "cuda", "auto"] = "cpu"
    threads: int = Field(default=1, ge=1, le=256)
    emulate_slowdown: float = Field(default=1.0, ge=1.0, le=1000.0, allow_inf_nan=False)
    batching: BatchingConfiguration = BatchingConfiguration()
    start_timeout: StartTimeout = None
    kept_memory: Size = MOST_KEPT_BYTES
    hedge_percentile: float | None = Field(default=None, gt=50.0, le=MOST_PERCENTILE, allow_inf_nan=False)
    limits: EdgeLimitsConfiguration = EdgeLimitsConfiguration()
    admission: AdmissionConfiguration = AdmissionConfiguration()
    decision_log: DecisionLogConfiguration | None = None
    metrics_listen: Address | None = None
    page_listen: Address | None = None
    tls: TlsConfiguration | None = None
    insecure: bool = False

    def model_post_init(self, context: object) -> None:
        """A port that others reach is secured, or said not to be."""
        addresses = {"listen": self.listen, "metrics_listen": self.metrics_listen, "page_listen": self.page_listen}
        _check_secured("edge", addresses, self.tls, self.insecure)
        if self.tls is not None and self.tls.server_name:
            problem, remedy = "is of the cloud's certificate", "set cloud.tls.server_name, or leave it out"
            raise InvalidConfiguration("edge.tls.server_name", problem, value=self.tls.server_name, remedy=remedy)


class CloudConfiguration(Section):
    """The cloud. advertise: the address edges dial, where it differs from the one bound. route: metadata by which a
    proxy at that address picks the replica, {address} and {replica} stand for its own; connection_age: a balancer there
    picks one by itself, and edges dial anew after about so long; left out, `advertise` is one replica's. address: of a
    Ray cluster that runs already, "auto" for the one of this machine; left out, a Ray is started. name: of this cloud
    there, which takes the place of what is called so; left out, it is known by where its replicas register. cpus: of
    it for each replica. version: free text; a change of it rolls the replicas over, also where nothing else has changed
    but the code that is installed. start_timeout: of a replica, as for the edge. overlap: how long a roll-out
    waits at most for edges to move, before the old replicas drain.

    metrics_listen: where Prometheus asks a replica; left out, there is no such port. insecure: listen beyond this
    machine although there is no TLS. autoscaling: left out, there are always `replicas`. paced_by: for engine: paced
    (tests of capacity), the file of a device profile that says how long the models take. model_memory: of the weights
    that a replica holds at once; the least recently used model that has no work goes for one that is wanted; left out,
    it holds all.
    """

    registry_listen: Address = "127.0.0.1:8100"
    listen: Address = "127.0.0.1:0"
    advertise: Address | None = None
    route: dict[MetadataKey, RouteValue] = Field(default_factory=dict, max_length=MAX_METADATA)
    connection_age: Duration | None = Field(default=None, ge=1.0, le=86400.0, allow_inf_nan=False)
    runtime: Literal["ray", "process"] = "ray"
    address: ClusterAddress | None = None
    name: str | None = Field(default=None, pattern=NAME_PATTERN)
    cpus: float | None = Field(default=None, gt=0.0, le=1024.0, allow_inf_nan=False)
    engine: EngineName | Literal["paced"] = "eager"
    paced_by: FilePath | None = None
    replicas: int = Field(default=1, ge=1, le=MOST_REPLICAS)
    autoscaling: AutoscalingConfiguration | None = None
    version: str = ""
    start_timeout: StartTimeout = None
    overlap: Duration = Field(default=60.0, le=86400.0, allow_inf_nan=False)
    device: Literal["cpu", "cuda", "auto"] = "cpu"
    threads: int = Field(default=1, ge=1, le=256)
    batching: BatchingConfiguration = BatchingConfiguration()
    limits: CloudLimitsConfiguration = CloudLimitsConfiguration()
    metrics_listen: Address | None = None
    model_memory: Size | None = Field(default=None, ge=1)
    tls: TlsConfiguration | None = None
    insecure: bool = False

    def model_post_init(self, context: object) -> None:
        """A port that others reach is secured, or said not to be; and replicas, all on one machine, share none."""
        addresses = {
            "registry_listen": self.registry_listen,
            "listen": self.listen,
            "metrics_listen": self.metrics_listen,
        }
        _check_secured("cloud", addresses, self.tls, self.insecure)
        self._check_autoscaling()
        self._check_endpoint()
        for name, problem in (("address", "is of a Ray cluster"), ("cpus", "is of a replica on Ray")):
            if getattr(self, name) is not None and self.runtime != "ray":
                remedy = "use runtime: ray, or leave it out"
                raise InvalidConfiguration(f"cloud.{name}", problem, value=self.runtime, remedy=remedy)
        if self.name is not None and self.address is None:
            problem, remedy = "is of a cloud on a Ray cluster", "set cloud.address, or leave it out"
            raise InvalidConfiguration("cloud.name", problem, value=self.name, remedy=remedy)
        if (self.engine == "paced") != (self.paced_by is not None):
            remedy = "set both engine: paced and paced_by, the file of a device profile, or neither"
            raise InvalidConfiguration("cloud.paced_by", "goes with engine: paced", value=self.paced_by, remedy=remedy)
        for name in ("listen", "metrics_listen"):
            self._check_shared(name, getattr(self, name))

    def _check_shared(self, name: str, address: str | None) -> None:
        most = self.rule.max_replicas
        if most > 1 and address is not None and parse_address(address)[1] != 0:
            raise InvalidConfiguration(
                f"cloud.{name}",
                f"is one port for {most} replicas",
                value=address,
                remedy="write port 0: each replica takes a free one and says which in its log",
            )

    def _check_endpoint(self) -> None:
        for key, given in (("route", bool(self.route)), ("connection_age", self.connection_age is not None)):
            if given and self.advertise is None:
                remedy = "set cloud.advertise to the address of the proxy or balancer, or leave it out"
                raise InvalidConfiguration(f"cloud.{key}", "needs an address that edges dial", remedy=remedy)
        if self.route and self.connection_age is not None:
            remedy = "a proxy that routes by metadata takes route, a balancer that does not takes connection_age"
            raise InvalidConfiguration("cloud.connection_age", "does not go with route", remedy=remedy)
        if self.advertise and self.rule.max_replicas > 1 and not self.route and self.connection_age is None:
            remedy = "set route where a proxy at that address picks by metadata, connection_age where a balancer picks"
            problem = f"is one address for {self.rule.max_replicas} replicas"
            raise InvalidConfiguration("cloud.advertise", problem, value=self.advertise, remedy=remedy)

    def _check_autoscaling(self) -> None:
        if self.autoscaling is None:
            return
        if self.runtime != "ray":
            remedy = "use runtime: ray, or replicas: instead"
            raise InvalidConfiguration("cloud.autoscaling", "needs Ray Serve", value=self.runtime, remedy=remedy)
        if "replicas" in self.model_fields_set:
            remedy = "leave it out, or set autoscaling.min_replicas"
            raise InvalidConfiguration(
                "cloud.replicas", "is what autoscaling decides", value=self.replicas, remedy=remedy
            )

    @property
    def rule(self) -> AutoscalingRule:
        """How many replicas, fixed or not."""
        return AutoscalingRule.fixed(self.replicas) if self.autoscaling is None else self.autoscaling.rule


def _check_secured(side: str, addresses: dict[str, str | None], tls: TlsConfiguration | None, insecure: bool) -> None:
    for name, address in addresses.items():
        if address is not None and tls is None and not insecure and not is_loopback(address):
            remedy = f"set {side}.tls (`isthmus certs` makes certificates), or write {side}.insecure: true"
            raise InvalidConfiguration(
                f"{side}.{name}", "is reached from other machines, without TLS", value=address, remedy=remedy
            )


class LinkConfiguration(Section):
    """An emulated link between edge and cloud, for demos and tests: both ways at once, or uplink and downlink apart."""

    bandwidth: Bandwidth | None = None
    uplink: Bandwidth | None = None
    downlink: Bandwidth | None = None
    rtt: Duration = 0.0

    def model_post_init(self, context: object) -> None:
        """Both directions must have a bandwidth."""
        for name in ("uplink", "downlink"):
            if getattr(self, name) is None and self.bandwidth is None:
                raise InvalidConfiguration(
                    f"link.{name}", "is missing", remedy="set link.bandwidth, or both directions"
                )

    @property
    def uplink_bps(self) -> float:
        """Bits per second towards the cloud."""
        return self.uplink or self.bandwidth or 0.0

    @property
    def downlink_bps(self) -> float:
        """Bits per second towards the edge."""
        return self.downlink or self.bandwidth or 0.0

    @property
    def said(self) -> str:
        """In words: "20 Mbit/s up, 5 Mbit/s down, RTT 30 ms"."""
        up, down = format_bandwidth(self.uplink_bps), format_bandwidth(self.downlink_bps)
        return f"{up} up, {down} down, RTT {format_duration(self.rtt)}"


class Configuration(Section):
    """A whole file. Only `models` is required.

    request_classes: the policies of requests whose parameter isthmus_class is that word.
    """

    models: tuple[ModelConfiguration, ...] = Field(min_length=1)
    edge: EdgeConfiguration = EdgeConfiguration()
    cloud: CloudConfiguration = CloudConfiguration()
    link: LinkConfiguration | None = None
    logs: LogsConfiguration = LogsConfiguration()
    policy: NamedPolicy = PolicyConfiguration()
    request_classes: dict[Annotated[str, Field(min_length=1)], NamedPolicy] = Field(default_factory=dict)

    def model_post_init(self, context: object) -> None:
        """Names are unique."""
        names = [model.name for model in self.models]
        if len(set(names)) != len(names):
            raise InvalidConfiguration("models", "two models have one name", value=names)


def read_configuration(path: Path) -> Configuration:
    """Read and check a configuration file. Raises InvalidConfiguration naming the key at fault."""
    data = read_mapping(path, "models")
    try:
        return Configuration.model_validate(data, context={"folder": path.resolve().parent})
    except ValidationError as error:
        raise _first_fault(error) from None


def _first_fault(error: ValidationError) -> InvalidConfiguration:
    fault = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in fault["loc"]) or "configuration"
    if fault["type"] == "extra_forbidden":
        return InvalidConfiguration(field, "is not a key", remedy="see the README for the keys there are")
    if fault["type"] == "missing":
        return InvalidConfiguration(field, "is missing", remedy="set it")
    return InvalidConfiguration(field, str(fault["msg"]), value=fault.get("input"))
