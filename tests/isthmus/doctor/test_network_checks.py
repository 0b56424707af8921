"""What is said of ports, the registry, replicas and versions: real servers on loopback."""

from __future__ import annotations

import socket
import time

import pytest

from isthmus.doctor.finding import Finding
from isthmus.doctor.network_checks import check_ports, check_registry
from isthmus.doctor.network_facts import edge_facts, port_facts, registry_facts
from isthmus.doctor.version_checks import ModelClaim, NodeVersion, check_models, check_packages, check_protocol
from isthmus.version import VERSION
from nodes.fleet import Endpoint, ModelVersion, Replica
from nodes.protocol.version import PROTOCOL_MAJOR, PROTOCOL_MINOR
from nodes.transport.registry_server import RegistryServer
from scheduler.fleet_registry import FleetRegistry
from tests.nodes.sites import Cloud, small_model

NOBODY = "127.0.0.1:1"


def levels(findings: list[Finding]) -> list[str]:
    return [finding.level for finding in findings]


@pytest.mark.parametrize(
    ("serving", "level"), [(frozenset(), "fail"), (frozenset({"edge"}), "ok"), (frozenset({"cloud"}), "fail")]
)
def test_a_taken_port_fails_unless_the_side_itself_has_it(serving: frozenset[str], level: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        [finding] = check_ports(port_facts({"edge.listen": address}), serving)
    assert finding.level == level


def test_an_address_of_another_machine_cannot_be_bound() -> None:
    [finding] = check_ports(port_facts({"cloud.listen": "192.0.2.1:9000"}), frozenset({"cloud"}))
    assert (finding.check, finding.level) == ("cloud.listen port", "fail")


def test_a_free_port_stays_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        address = f"127.0.0.1:{one.getsockname()[1]}"
    for _ in range(2):
        assert levels(list(check_ports(port_facts({"edge.listen": address}), frozenset()))) == ["ok"]


async def test_an_edge_without_its_registry_is_warned_and_a_cloud_that_does_not_run_is_not() -> None:
    facts = await registry_facts(NOBODY, None)
    assert levels(list(check_registry(facts, needed_by_edge=True))) == ["warn"]
    assert levels(list(check_registry(facts, needed_by_edge=False))) == ["ok"]
    assert await edge_facts(NOBODY, None) is None


@pytest.mark.parametrize(("scales_to_zero", "level"), [(False, "warn"), (True, "ok")])
async def test_a_registry_without_replicas_is_a_warning_unless_its_cloud_scales_to_zero(
    scales_to_zero: bool, level: str
) -> None:
    server = await RegistryServer.start(FleetRegistry(), "127.0.0.1:0")
    try:
        facts = await registry_facts(server.address, None)
    finally:
        await server.stop()
    [finding] = check_registry(facts, needed_by_edge=True, scales_to_zero=scales_to_zero)
    assert finding.level == level


async def test_replicas_are_asked_and_those_that_do_not_answer_fail() -> None:
    model, book = small_model(), FleetRegistry()
    cloud = await Cloud.start([model], "a")
    server = await RegistryServer.start(book, "127.0.0.1:0")
    try:
        for replica in (Replica("a", Endpoint(cloud.target)), Replica("b", Endpoint(NOBODY))):
            book.register(replica, time.monotonic())
        facts = await registry_facts(server.address, None)
    finally:
        await server.stop()
        await cloud.stop()
    assert levels(list(check_registry(facts, needed_by_edge=True))) == ["ok", "ok", "fail"]
    said = facts.replicas[0].said
    assert said is not None
    assert said.versions == (ModelVersion(model.name, model.digest),)
    assert (said.package_version, said.protocol) == (VERSION, (PROTOCOL_MAJOR, PROTOCOL_MINOR))


@pytest.mark.parametrize(("package", "level"), [("1.0", "ok"), ("", "ok"), ("0.9", "warn")])
def test_a_node_of_another_package_version_is_a_warning(package: str, level: str) -> None:
    assert levels(list(check_packages("1.0", [NodeVersion("replica a", package)]))) == [level]


@pytest.mark.parametrize(
    ("protocol", "found"), [((2, 3), []), (None, []), ((0, 0), []), ((2, 1), ["warn"]), ((3, 0), ["fail"])]
)
def test_another_major_version_of_the_stream_fails(protocol: tuple[int, int] | None, found: list[str]) -> None:
    assert levels(list(check_protocol((2, 3), [NodeVersion("replica a", "1.0", protocol)]))) == found


def test_versions_of_a_model_are_compared_as_far_as_each_is_said() -> None:
    whole, other = "d" * 64, "e" * 64
    same = [ModelClaim("artifact", "net", whole), ModelClaim("edge", "net", whole[:12]), ModelClaim("edge", "m", other)]
    assert levels(list(check_models(same))) == ["ok", "ok"]
    assert levels(list(check_models([*same, ModelClaim("replica a", "net", other)]))) == ["fail", "ok"]
