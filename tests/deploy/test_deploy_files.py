"""What deploy/ holds passes its own linters and schemas, and fits together."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import compose_spec
import kubernetes_validate
import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from isthmus.addresses import parse_address
from isthmus.configuration import read_configuration
from isthmus.serve_application import CloudArguments
from isthmus.version import VERSION
from tests.deploy.rayservice import RayService

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = "1.34"
CONFIGURATIONS = ("config/edge.yaml", "config/cloud.yaml", "kuberay/isthmus.yaml")


def read(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text())


@pytest.mark.parametrize("name", ["edge", "cloud"])
def test_dockerfiles_pass_hadolint(name: str) -> None:
    linter = Path(sys.executable).parent / "hadolint"
    file = DEPLOY / "docker" / f"{name}.Dockerfile"
    done = subprocess.run([linter, file], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_images_hold_the_packages_of_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert let_through == {*wheel, "pyproject.toml", "README.md", "LICENSE"}
    assert {project["project"]["version"], version("isthmus")} == {VERSION}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_configurations_are_read(name: str) -> None:
    configuration = read_configuration(DEPLOY / name)
    assert [model.source for model in configuration.models] == ["/models/efficientnet_lite0"]


def test_the_compose_file_keeps_its_schema_and_its_references_hold() -> None:
    compose = compose_spec.PyCompose.from_yaml((DEPLOY / "compose.yaml").read_text())
    compose.validate()
    data = read("compose.yaml")
    mounts = [mount for one in data["services"].values() for mount in one.get("volumes", [])]
    sources = [mount.partition(":")[0] for mount in mounts]
    assert all((DEPLOY / source).exists() for source in sources if source.startswith("."))
    assert {source for source in sources if not source.startswith(".")} == data["volumes"].keys()
    builds = [ROOT / one["build"]["dockerfile"] for one in data["services"].values() if "build" in one]
    assert all(build.is_file() for build in builds)


def test_what_the_compose_file_names_is_where_the_configurations_listen() -> None:
    edge, cloud = read_configuration(DEPLOY / "config/edge.yaml").edge, read_configuration(DEPLOY / "config/cloud.yaml")
    services, command = read("compose.yaml")["services"], read("compose.yaml")["services"]["certificates"]["command"][0]
    dialled = [parse_address(address) for address in (edge.registry, cloud.cloud.advertise or "")]
    assert dialled == [("cloud", parse_address(cloud.cloud.registry_listen)[1]), ("cloud", 9000)]
    assert {host for host, _ in dialled} <= services.keys()
    assert all(f"--host {host}" in command for host in ("edge", "cloud"))
    scraped = [one["static_configs"][0]["targets"][0] for one in read("prometheus/prometheus.yaml")["scrape_configs"]]
    ports = [parse_address(side.metrics_listen or "")[1] for side in (edge, cloud.cloud)]
    assert scraped == [f"edge:{ports[0]}", f"cloud:{ports[1]}"]


@pytest.mark.parametrize("name", ["prometheus.yaml", "kubernetes.yaml"])
def test_prometheus_jobs_are_called_what_the_rules_call_them(name: str) -> None:
    scraping = read(f"prometheus/{name}")
    rules = (DEPLOY / "prometheus/rules.yaml").read_text()
    [pattern] = set(re.findall(r'job=~"([^"]+)"', rules))
    assert all(re.fullmatch(pattern, one["job_name"]) for one in scraping["scrape_configs"])
    assert all((DEPLOY / "prometheus" / one).is_file() for one in scraping["rule_files"])


def test_the_registry_passes_the_kubernetes_schema() -> None:
    for manifest in yaml.safe_load_all((DEPLOY / "kuberay/registry.yaml").read_text()):
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


@pytest.fixture(scope="module")
def rayservice() -> RayService:
    return RayService.model_validate(read("kuberay/rayservice.yaml"))


def test_the_pods_of_the_ray_cluster_pass_the_kubernetes_schema(rayservice: RayService) -> None:
    cluster = rayservice.spec.rayClusterConfig
    for group in (cluster.headGroupSpec, *cluster.workerGroupSpecs):
        named = {"name": "pod"} | (group.template.metadata.model_dump() if group.template.metadata else {})
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": named, "spec": group.template.spec}
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)


def test_the_serve_configuration_is_one_and_names_a_builder_with_its_arguments(rayservice: RayService) -> None:
    [application] = ServeDeploySchema.model_validate(yaml.safe_load(rayservice.spec.serveConfigV2)).applications
    module, _, name = application.import_path.partition(":")
    assert callable(getattr(import_module(module), name))
    arguments = CloudArguments.model_validate(application.args)
    [workers] = rayservice.spec.rayClusterConfig.workerGroupSpecs
    assert float(workers.rayStartParams["num-cpus"]) == arguments.cpus
    assert application.route_prefix == "/"  # with none its pods never become ready
    replicas = read_configuration(DEPLOY / "kuberay/isthmus.yaml").cloud.replicas
    assert replicas * arguments.cpus <= workers.minReplicas * arguments.cpus


def test_prometheus_finds_the_metrics_of_each_replica(rayservice: RayService) -> None:
    arguments = yaml.safe_load(rayservice.spec.serveConfigV2)["applications"][0]["args"]
    configuration = read_configuration(DEPLOY / "kuberay/isthmus.yaml").cloud
    assert parse_address(configuration.metrics_listen or "") == ("0.0.0.0", 0)
    [workers] = rayservice.spec.rayClusterConfig.workerGroupSpecs
    [port] = workers.template.spec["containers"][0]["ports"]
    assert port["containerPort"] == arguments["metrics_port"]
    [job] = read("prometheus/kubernetes.yaml")["scrape_configs"]
    metadata = workers.template.metadata
    assert metadata is not None
    assert job["relabel_configs"][0]["regex"] == f"{metadata.labels['app.kubernetes.io/name']};{port['name']}"
    assert configuration.tls is not None
    assert job["tls_config"]["server_name"] == configuration.tls.server_name


def test_pods_mount_what_the_configuration_and_the_arguments_name(rayservice: RayService) -> None:
    arguments = yaml.safe_load(rayservice.spec.serveConfigV2)["applications"][0]["args"]
    service, deployment = yaml.safe_load_all((DEPLOY / "kuberay/registry.yaml").read_text())
    assert arguments["registry"] == f"{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    tls = read_configuration(DEPLOY / "kuberay/isthmus.yaml").cloud.tls
    assert tls is not None
    pods = [group.template.spec for group in rayservice.spec.rayClusterConfig.workerGroupSpecs]
    for pod in (
        rayservice.spec.rayClusterConfig.headGroupSpec.template.spec,
        *pods,
        deployment["spec"]["template"]["spec"],
    ):
        mounted = {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
        assert {str(Path(path).parent) for path in (arguments["configuration"], tls.key, tls.authority)} == mounted
        assert pod["containers"][0]["image"] == f"isthmus-cloud:{VERSION}"
