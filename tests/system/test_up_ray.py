"""`isthmus up` on Ray Serve: edge and cloud as two applications, each with its own gRPC server."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from isthmus.client import Client
from isthmus.zoo import demo_photos, imagenet_classes

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


@pytest.mark.slow
def test_both_applications_answer_a_photo(run_up: Callable[..., contextlib.AbstractContextManager[Any]]) -> None:
    with (
        run_up(
            edge={"listen": "127.0.0.1:0", "emulate_slowdown": 4}, cloud={"registry_listen": "127.0.0.1:0"}
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
    assert running.process.returncode == 0
