"""A node asks itself at its own port."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.certificates import issue_certificates
from isthmus.errors import Unavailable
from nodes.tls_files import TlsFiles
from nodes.transport.self_check import check_gateway, check_replica
from tests.nodes.sites import Cloud, small_model
from tests.nodes.transport.test_credentials import files, serving


async def test_a_replica_that_serves_passes_and_one_whose_server_stopped_does_not() -> None:
    cloud = await Cloud.start([small_model()], "itself")
    try:
        with pytest.raises(Unavailable, match="NOT_FOUND"):
            await check_replica(cloud.target, None)  # its health is not set yet
        await cloud.server.set_serving(False)
        with pytest.raises(Unavailable, match="says that it does not serve"):
            await check_replica(cloud.target, None)
        await cloud.server.set_serving(True)
        await check_replica(cloud.target, None)
        await check_replica(cloud.target.replace("127.0.0.1", "0.0.0.0"), None)
    finally:
        await cloud.stop()
    with pytest.raises(Unavailable, match=f"own port {cloud.target}: does not answer"):
        await check_replica(cloud.target, None)


async def test_a_replica_whose_node_fails_does_not_pass_although_its_port_answers() -> None:
    cloud = await Cloud.start([small_model()], "itself")
    try:
        await cloud.server.set_serving(True)
        cloud.node.models = None  # type: ignore[assignment]
        with pytest.raises(Unavailable, match="does not answer"):
            await check_replica(cloud.target, None)
    finally:
        await cloud.stop()


@pytest.mark.parametrize("host", ["127.0.0.1", "edge.example", "*.example"])
async def test_with_tls_it_expects_a_name_that_its_certificate_is_for(tmp_path: Path, host: str) -> None:
    issue_certificates(tmp_path, [host], 30)
    tls = files(tmp_path, "edge")
    async with serving(tls) as address:
        await check_gateway(address, tls)
        issue_certificates(tmp_path / "stranger", [host], 30)
        stranger: TlsFiles = replace(files(tmp_path / "stranger", "edge"))
        with pytest.raises(Unavailable):
            await check_gateway(address, stranger)
