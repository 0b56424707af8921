"""What a configuration says of its nodes, as the settings that each of them is started with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from isthmus.configuration import Configuration, TlsConfiguration, files_of
from nodes.configured_policies import ConfiguredPolicies
from nodes.settings import CloudSettings, EdgeSettings, JournalSettings, ModelArtifact

__all__ = ["clients_required", "cloud_settings", "edge_settings", "of_edge"]


def cloud_settings(configuration: Configuration, artifacts: tuple[ModelArtifact, ...], registry: str) -> CloudSettings:
    """What each replica is started with. registry: where it registers."""
    cloud = configuration.cloud
    return CloudSettings(
        # It learns plans from those who offer them.
        tuple(ModelArtifact(one.name, folder) for one in artifacts for folder in (one.folder, *one.others)),
        cloud.listen,
        registry,
        cloud.advertise or "",
        route=cloud.route,
        connection_age_s=cloud.connection_age or 0.0,
        model_bytes=cloud.model_memory or 0,
        engine=cloud.engine,
        device=cloud.device,
        threads=cloud.threads,
        tls=files_of(cloud.tls),
        require_clients=clients_required(cloud.tls, by_default=True),
        tls_server_name=cloud.tls.server_name if cloud.tls else "",
        batching=cloud.batching.limits,
        limits=cloud.limits.of_node,
        held_bytes=cloud.limits.memory,
        metrics_listen=cloud.metrics_listen or "",
        paced_by=cloud.paced_by or "",
        starts_within_s=cloud.start_timeout,
        log=configuration.logs.settings,
    )


def edge_settings(
    configuration: Configuration, artifacts: tuple[ModelArtifact, ...], registry: str, policies: ConfiguredPolicies
) -> EdgeSettings:
    """What an edge is started with. registry: where it sees replicas. policies: in force from the start."""
    edge, log = configuration.edge, configuration.edge.decision_log
    return EdgeSettings(
        of_edge(artifacts),
        edge.listen,
        registry,
        policies=policies,
        engine=edge.engine,
        device=edge.device,
        threads=edge.threads,
        slowdown=edge.emulate_slowdown,
        tls=files_of(edge.tls),
        require_clients=clients_required(edge.tls, by_default=False),
        batching=edge.batching.limits,
        limits=edge.limits.of_node,
        kept_bytes=edge.kept_memory,
        client_bytes=edge.limits.memory,
        decision_log=None if log is None else JournalSettings(log.folder, log.max_size),
        hedge_percentile=edge.hedge_percentile,
        metrics_listen=edge.metrics_listen or "",
        admission_probability=edge.admission.probability,
        page_listen=edge.page_listen or "",
        starts_within_s=edge.start_timeout,
        log=configuration.logs.settings,
    )


def of_edge(artifacts: Sequence[ModelArtifact]) -> tuple[ModelArtifact, ...]:
    """As an edge takes them: it serves one version of each."""
    return tuple(replace(artifact, others=()) for artifact in artifacts)


def clients_required(tls: TlsConfiguration | None, *, by_default: bool) -> bool:
    """Whether clients must show a certificate; where the system's authorities are trusted, only when told so."""
    if tls is None or tls.require_clients is None:
        return by_default and tls is not None and bool(tls.authority)
    return tls.require_clients
