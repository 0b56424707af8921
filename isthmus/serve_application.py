"""What a Ray Serve configuration names (`import_path`): the cloud's replicas, on a cluster that is there already.

The configuration file is that of `isthmus cloud`, and lies under the same path on every node, as do the artifacts of
the models that it names: replicas load those and nothing else. The registry runs apart (`isthmus registry`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, ValidationError

from isthmus.configuration import ModelConfiguration, read_configuration
from isthmus.configuration_fields import Section
from isthmus.deployment import cloud_settings
from isthmus.errors import InvalidConfiguration
from isthmus.model_export import export_models
from partitioner.artifact import is_artifact
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
        _check_source(model)
    artifacts = export_models(configuration.models, path.resolve().parent, lambda _: None)
    settings = cloud_settings(configuration, artifacts, args.registry)
    return cloud_application(settings, configuration.cloud.replicas, args.cpus, args.gpus)


def _checked(given: Mapping[str, object]) -> CloudArguments:
    try:
        return CloudArguments.model_validate(given)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        field = ".".join(("args", *map(str, fault["loc"])))
        raise InvalidConfiguration(field, str(fault["msg"]), remedy="see isthmus.serve_application") from None


def _check_source(model: ModelConfiguration) -> None:
    """An export would lie on this node alone."""
    if not (Path(model.source).is_absolute() and is_artifact(Path(model.source))):
        remedy = "name the absolute path of an artifact that every node has (`isthmus import`)"
        raise InvalidConfiguration(
            f"models.{model.name}.source", "is not an artifact's folder", value=model.source, remedy=remedy
        )
