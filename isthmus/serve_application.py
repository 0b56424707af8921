"""What a Ray Serve configuration names (`import_path`): the cloud's replicas, on a cluster that is there already.

The configuration file is that of `isthmus cloud`, and lies under the same path on every node, as do the artifacts of
the models that it names: replicas load those and nothing else. The registry runs apart (`isthmus registry`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import Field, ValidationError

from isthmus.addresses import format_address, parse_address
from isthmus.configuration import read_configuration
from isthmus.configuration_fields import Section
from isthmus.errors import InvalidConfiguration
from isthmus.model_export import check_on_every_node, export_models
from isthmus.node_settings import cloud_settings
from nodes.settings import CloudSettings
from scheduler.serve.applications import Application, cloud_application

__all__ = ["CloudArguments", "cloud"]


class CloudArguments(Section):
    """registry: where replicas register. cpus, gpus: of a node, for each replica. metrics_port: in place of a free one
    at `cloud.metrics_listen`, where each replica has a pod or a machine of its own."""

    configuration: str = Field(min_length=1)
    registry: str = Field(min_length=1)
    cpus: float = Field(default=1.0, ge=0.0)
    gpus: float = Field(default=0.0, ge=0.0)
    metrics_port: int | None = Field(default=None, ge=1, le=65535)


def cloud(given: Mapping[str, object]) -> Application:
    """The replicas of the file's `cloud` section; given: CloudArguments, as Serve hands on what its configuration says.

    Raises InvalidConfiguration, InvalidModel.
    """
    args = _checked(given)
    path = Path(args.configuration)
    configuration = read_configuration(path)
    for model in configuration.models:
        check_on_every_node(model)
    artifacts = export_models(configuration.models, path.resolve().parent, lambda _: None)
    settings = _with_port(cloud_settings(configuration, artifacts, args.registry), args.metrics_port)
    rule = configuration.cloud.rule
    if rule.min_replicas < 1:
        remedy = "set min_replicas: 1, or run `isthmus cloud` with cloud.address, whose registry wakes a cloud at zero"
        raise InvalidConfiguration("cloud.autoscaling.min_replicas", "is 0, and nothing wakes it here", remedy=remedy)
    return cloud_application(settings, rule, args.cpus, args.gpus)


def _with_port(settings: CloudSettings, port: int | None) -> CloudSettings:
    if port is None:
        return settings
    if not settings.metrics_listen:
        remedy = "set cloud.metrics_listen, with port 0"
        raise InvalidConfiguration("args.metrics_port", "is of no port", value=port, remedy=remedy)
    host, _ = parse_address(settings.metrics_listen)
    return replace(settings, metrics_listen=format_address(host, port))


def _checked(given: Mapping[str, object]) -> CloudArguments:
    try:
        return CloudArguments.model_validate(given)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        field = ".".join(("args", *map(str, fault["loc"])))
        raise InvalidConfiguration(field, str(fault["msg"]), remedy="see isthmus.serve_application") from None
