"""`isthmus up` on Ray Serve: edge and cloud as two applications, each with its own gRPC server."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from isthmus.client import Client
from isthmus.zoo import demo_photos, imagenet_classes

FLOWER = demo_photos()[-1]


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
    assert running.process.returncode == 0
