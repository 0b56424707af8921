"""What a Ray Serve configuration names (`import_path`): the cloud's replicas, on a cluster that is there already.

The configuration file is that of `isthmus cloud`, and lies under the same path on every node, as do the artifacts of
the models that it names: replicas load those and nothing else. The registry runs apart (`isthmus registry`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, ValidationError

from isthmus.configuration import read_configuration
from isthmus.configuration_fields import Section
from isthmus.deployment import cloud_settings
from isthmus.errors import InvalidConfiguration
from isthmus.model_export import check_on_every_node, export_models
from scheduler.serve.applications import Application, cloud_application

__all__ = ["CloudArguments", "cloud"]


class CloudArguments(Section):
    """registry: where replicas register. cpus, gpus: of a node, for each replica."""

    configuration: str = Field(min_length=1)
    registry: str = Field(min_length=1)
    cpus: float = Field(default=1.0, ge=0.0)
    gpus: float = Field(default=0.0, ge=0.0)


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
    settings = cloud_settings(configuration, artifacts, args.registry)
    rule = configuration.cloud.rule
    if rule.min_replicas < 1:
        remedy = "set min_replicas: 1, or run `isthmus cloud` with cloud.address, whose registry wakes a cloud at zero"
        raise InvalidConfiguration("cloud.autoscaling.min_replicas", "is 0, and nothing wakes it here", remedy=remedy)
    return cloud_application(settings, rule, args.cpus, args.gpus)


def _checked(given: Mapping[str, object]) -> CloudArguments:
    try:
        return CloudArguments.model_validate(given)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        field = ".".join(("args", *map(str, fault["loc"])))
        raise InvalidConfiguration(field, str(fault["msg"]), remedy="see isthmus.serve_application") from None
