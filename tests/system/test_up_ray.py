"""`isthmus up` on Ray Serve: edge and cloud as two applications, each with its own gRPC server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from isthmus.client import Client
from isthmus.errors import IsthmusError
from isthmus.zoo import demo_photos, imagenet_classes
from nodes.transport.operator_client import OperatorClient
from tests.system.launched import HANGS_S

FLOWER = demo_photos()[-1]


def saved_with(folder: Path, said: str, **sections: Any) -> None:
    """Change the configuration and return when the deployment said so."""
    path, log = folder / "isthmus.yaml", folder / "isthmus.log"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | sections))
    for _ in range(900):
        if said in log.read_text():
            return
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def edge_of(launcher: int) -> psutil.Process:
    """The process of Ray that listens for clients."""
    (edge,) = (one for one in psutil.Process(launcher).children(recursive=True) if ":edge" in " ".join(one.cmdline()))
    return edge


async def policies_of(address: str) -> dict[str, str]:
    """Those in force there, once it answers."""
    operator, over_s = OperatorClient(address), time.monotonic() + HANGS_S
    try:
        while True:
            try:
                now, _ = await operator.steering()
                return {str(scope): one.name for scope, one in now.policies.items()}
            except IsthmusError:
                assert time.monotonic() < over_s
                await asyncio.sleep(0.1)
    finally:
        await operator.close()


@pytest.mark.slow
def test_both_applications_answer_a_photo(run_up: Callable[..., contextlib.AbstractContextManager[Any]]) -> None:
    with (
        run_up(
            edge={"listen": f"127.0.0.1:{free_port()}", "emulate_slowdown": 4}, cloud={"registry_listen": "127.0.0.1:0"}
        ) as running,
        Client(running.address) as client,
    ):
        for policy, finisher in (("edge-only", "edge"), ("cloud-only", "cloud"), ("fixed:split", "cloud")):
            result = client.infer("efficientnet-lite0", {"image": FLOWER}, policy=policy, timeout_s=60)
            assert imagenet_classes()[int(result.outputs["logits"][0].argmax())] == "daisy"
            assert result.parameters["isthmus_finished_by"] == finisher
        cloud = {"registry_listen": "127.0.0.1:0", "autoscaling": {"min_replicas": 0, "max_replicas": 2}}
        saved_with(running.folder, "rolled out: cloud.autoscaling", cloud=cloud)
        result = client.infer("efficientnet-lite0", {"image": FLOWER}, policy="cloud-only", timeout_s=60)
        assert result.parameters["isthmus_finished_by"] == "cloud"
        said = "policy for all requests: edge-only, was latency"
        saved_with(running.folder, said, policy="edge-only", request_classes={"alarm": "cloud-only"})
        result = client.infer("efficientnet-lite0", {"image": FLOWER}, timeout_s=60)
        assert "edge-only" in str(result.parameters["isthmus_reason"])
        edge = edge_of(running.process.pid)
        edge.kill()
        edge.wait(30)  # Serve replaces it, as it last was
        assert asyncio.run(policies_of(running.address)) == {"all requests": "edge-only", "class alarm": "cloud-only"}
        result = client.infer("efficientnet-lite0", {"image": FLOWER}, timeout_s=60)
        assert result.parameters["isthmus_finished_by"] == "edge"
    assert running.process.returncode == 0
