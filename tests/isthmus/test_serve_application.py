"""The cloud's replicas as an application of a Serve configuration. Serve's own part needs a cluster: none runs here."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from isthmus.configuration import Configuration, read_configuration
from isthmus.deployment import running_registry
from isthmus.errors import InvalidConfiguration
from isthmus.serve_application import cloud
from nodes.settings import CloudSettings
from nodes.transport.fleet_survey import look_at_registry
from partitioner.artifact import save_artifact
from partitioner.front_end import model_from_module


def arguments(folder: Path, source: str) -> dict[str, object]:
    path = folder / "isthmus.yaml"
    path.write_text(f"models: [{{name: m, source: {source}}}]\ncloud: {{replicas: 3, threads: 2}}\n")
    return {"configuration": str(path), "registry": "registry:8100", "cpus": 2.0, "gpus": 0.5}


def test_replicas_get_the_files_settings_and_the_registry_of_the_arguments(tmp_path: Path) -> None:
    save_artifact(model_from_module(nn.Linear(4, 2).eval(), (torch.zeros(2, 4),), "m"), tmp_path / "m")
    application = cloud(arguments(tmp_path, str(tmp_path / "m")))
    deployment = application._bound_deployment  # Serve has no public way to look at what was bound
    settings = CloudSettings.from_json(deployment.init_args[0])
    assert (settings.registry, settings.threads) == ("registry:8100", 2)
    assert [model.folder for model in settings.models] == [str((tmp_path / "m").resolve())]
    assert deployment.num_replicas == 3
    options = deployment.ray_actor_options
    assert (options["num_cpus"], options["num_gpus"]) == (2.0, 0.5)


@pytest.mark.parametrize("source", ["isthmus.zoo:minilm", "models/m", "/not/there"])
def test_a_source_that_other_nodes_may_not_have_is_refused(tmp_path: Path, source: str) -> None:
    with pytest.raises(InvalidConfiguration, match=r"models\.m\.source: is not an artifact's folder"):
        cloud(arguments(tmp_path, source))


@pytest.mark.parametrize("given", [{"configuration": "c.yaml"}, {"configuration": "c", "registry": "r:1", "cpu": 1}])
def test_arguments_that_are_missing_or_unknown_are_named(given: dict[str, object]) -> None:
    with pytest.raises(InvalidConfiguration, match=r"args\.(registry|cpu): "):
        cloud(given)


def test_replicas_follow_the_rule_of_the_file_but_not_to_zero(tmp_path: Path) -> None:
    save_artifact(model_from_module(nn.Linear(4, 2).eval(), (torch.zeros(2, 4),), "m"), tmp_path / "m")
    given, path = arguments(tmp_path, str(tmp_path / "m")), tmp_path / "isthmus.yaml"
    models = f"models: [{{name: m, source: {tmp_path / 'm'}}}]\n"
    path.write_text(models + "cloud: {autoscaling: {min_replicas: 1, max_replicas: 3}}\n")
    scaled = cloud(given)._bound_deployment._deployment_config.autoscaling_config
    assert (scaled.min_replicas, scaled.max_replicas) == (1, 3)
    path.write_text(models + "cloud: {autoscaling: {min_replicas: 0}}\n")
    with pytest.raises(InvalidConfiguration, match=r"min_replicas: is 0, and nothing wakes it here"):
        cloud(given)


def test_the_port_of_metrics_is_one_for_all_pods_where_it_is_given(tmp_path: Path) -> None:
    save_artifact(model_from_module(nn.Linear(4, 2).eval(), (torch.zeros(2, 4),), "m"), tmp_path / "m")
    given, path = arguments(tmp_path, str(tmp_path / "m")), tmp_path / "isthmus.yaml"
    path.write_text(path.read_text().replace("replicas: 3", "replicas: 3, metrics_listen: '[::1]:0'"))
    for more, listens in (({}, "[::1]:0"), ({"metrics_port": 9465}, "[::1]:9465")):
        settings = CloudSettings.from_json(cloud({**given, **more})._bound_deployment.init_args[0])
        assert settings.metrics_listen == listens


def test_a_port_of_metrics_that_are_not_served_is_refused(tmp_path: Path) -> None:
    save_artifact(model_from_module(nn.Linear(4, 2).eval(), (torch.zeros(2, 4),), "m"), tmp_path / "m")
    with pytest.raises(InvalidConfiguration, match=r"args\.metrics_port: is of no port"):
        cloud({**arguments(tmp_path, str(tmp_path / "m")), "metrics_port": 9465})


async def test_a_registry_runs_by_itself(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("models: [{name: m, source: a}]\ncloud: {registry_listen: '127.0.0.1:0'}\n")
    configuration: Configuration = read_configuration(tmp_path / "c.yaml")
    async with running_registry(configuration) as address:
        assert (await look_at_registry(address, None, 5.0)).replicas == ()
