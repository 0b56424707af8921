"""`isthmus up` with bare processes, from outside: real model, real photos, real gRPC over a shaped link."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
import yaml

from isthmus.client import Client
from isthmus.errors import DeadlineExceeded, InvalidRequest, NotFound
from isthmus.zoo import demo_photos, imagenet_classes
from nodes.settings import EdgeSettings, ModelArtifact
from partitioner.artifact import load_artifact
from tests.system.launched import HANGS_S, ending

MODEL = "efficientnet-lite0"
CAT, COFFEE, ROCKET, FLOWER = demo_photos()
STAGES = ("edge", "edge_queue", "uplink", "cloud", "cloud_queue", "downlink")

RunUp = Callable[..., contextlib.AbstractContextManager[Any]]


def best_class(logits: np.ndarray[Any, Any]) -> str:
    return imagenet_classes()[int(logits[0].argmax())]


@pytest.mark.parametrize("policy", ["edge-only", "cloud-only", "fixed:split", "latency"])
@pytest.mark.parametrize(("photo", "expected"), [(FLOWER, "daisy"), (COFFEE, "espresso"), (ROCKET, "missile")])
def test_a_photo_gets_its_class_by_every_way(client: Client, policy: str, photo: Path, expected: str) -> None:
    result = client.infer(MODEL, {"image": photo}, policy=policy, timeout_s=60)
    assert best_class(result.outputs["logits"]) == expected


def test_edge_only_and_cloud_only_agree_with_the_whole_model(client: Client, artifact: Path) -> None:
    image = np.random.default_rng(0).normal(size=(3, 3, 224, 224)).astype(np.float32)
    with torch.inference_mode():
        (whole,) = load_artifact(artifact)(torch.from_numpy(image))
    for policy in ("edge-only", "cloud-only"):
        result = client.infer(MODEL, {"image": image}, policy=policy, timeout_s=60)
        assert np.abs(result.outputs["logits"].astype(np.float32) - whole.numpy()).max() <= 1e-4


def test_stages_sum_to_the_elapsed_time(client: Client) -> None:
    result = client.infer(MODEL, {"image": FLOWER}, policy="fixed:split", timeout_s=60)
    assert all(result.timings[stage] >= 0 for stage in STAGES)
    assert result.parameters["isthmus_finished_by"] == "cloud"
    assert result.timings["uplink"] + result.timings["downlink"] >= 5.0  # the emulated round trip, in ms


@pytest.mark.parametrize("policy", ["edge-only", "fixed:split"])
def test_the_prediction_says_what_a_request_costs_besides_its_stages(client: Client, policy: str) -> None:
    said = client.infer(MODEL, {"image": FLOWER}, policy=policy, timeout_s=60).timings
    parts = [said[f"predicted_{part}"] for part in ("edge", "uplink", "cloud", "downlink", "overhead")]
    assert said["predicted"] == pytest.approx(sum(parts))
    assert 0.3 < said["predicted_overhead"] < 100.0  # ms: no gRPC call through a gateway takes less than 0.3


def test_the_reason_for_the_choice_travels_with_the_answer(client: Client) -> None:
    result = client.infer(MODEL, {"image": FLOWER}, timeout_s=60)
    assert "ms" in str(result.parameters["isthmus_reason"])
    assert len(result.request_id) == 32


@pytest.mark.parametrize(
    ("inputs", "error", "words"),
    [
        ({"picture": np.zeros((1, 3, 224, 224), np.float32)}, InvalidRequest, "no such input"),
        ({}, InvalidRequest, "is missing"),
        ({"image": np.zeros((1, 3, 224, 224), np.float64)}, InvalidRequest, "must be FP32"),
        ({"image": np.zeros((1, 3, 10, 224), np.float32)}, InvalidRequest, r"must be \[-1, 3, 224, 224\]"),
        ({"image": np.zeros((0, 3, 224, 224), np.float32)}, InvalidRequest, "batch"),
        ({"image": np.zeros((65, 3, 224, 224), np.float32)[:, :, :1, :1].repeat(1, 0)}, InvalidRequest, "must be"),
        ({"image": b"not an image"}, InvalidRequest, "image"),
        ({"image": ROCKET.read_bytes()[:20_000]}, InvalidRequest, "image"),
    ],
)
def test_a_bad_input_is_refused_by_name(client: Client, inputs: dict[str, Any], error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        client.infer(MODEL, inputs, timeout_s=60)


def test_unknown_model_policy_and_plan_are_not_found(client: Client) -> None:
    image = np.zeros((1, 3, 224, 224), np.float32)
    with pytest.raises(NotFound, match="nothing-like-it"):
        client.infer("nothing-like-it", {"image": image}, timeout_s=60)
    with pytest.raises(NotFound, match="policy"):
        client.infer(MODEL, {"image": image}, policy="wildest", timeout_s=60)
    with pytest.raises(NotFound, match="plan"):
        client.infer(MODEL, {"image": image}, plan_id="0000", timeout_s=60)


def test_a_deadline_that_nothing_can_meet_is_refused(client: Client) -> None:
    with pytest.raises(DeadlineExceeded):
        client.infer(MODEL, {"image": np.zeros((64, 3, 224, 224), np.float32)}, timeout_s=0.02)


def cloud_nodes(launcher: int) -> list[psutil.Process]:
    return [p for p in psutil.Process(launcher).children() if "cloud" in p.cmdline()]


@pytest.mark.slow
def test_killing_the_cloud_fails_no_request_and_it_comes_back(run_up: RunUp) -> None:
    with (
        run_up(
            edge={"runtime": "process", "listen": "127.0.0.1:0", "emulate_slowdown": 4},
            cloud={"runtime": "process", "registry_listen": "127.0.0.1:0"},
        ) as running,
        Client(running.address) as client,
    ):
        before = client.infer(MODEL, {"image": FLOWER}, policy="fixed:split", timeout_s=60)
        (victim,) = cloud_nodes(running.process.pid)
        victim.send_signal(signal.SIGKILL)
        after = [client.infer(MODEL, {"image": FLOWER}, timeout_s=60) for _ in range(20)]
        assert before.parameters["isthmus_finished_by"] == "cloud"
        assert {best_class(result.outputs["logits"]) for result in after} == {"daisy"}


@pytest.mark.slow
def test_ctrl_c_leaves_no_process_behind(run_up: RunUp) -> None:
    with run_up(
        edge={"runtime": "process", "listen": "127.0.0.1:0", "emulate_slowdown": 4},
        cloud={"runtime": "process", "registry_listen": "127.0.0.1:0"},
    ) as running:
        children = psutil.Process(running.process.pid).children(recursive=True)
        os.kill(running.process.pid, signal.SIGINT)
        assert running.process.wait(HANGS_S) == 0
    assert psutil.wait_procs(children, timeout=10)[1] == []


def engine_start_s(artifact: Path) -> float:
    """What an edge that looks for no cloud takes until it serves: to import, to load its model and to measure it."""
    settings, began_s = EdgeSettings((ModelArtifact(MODEL, str(artifact)),), "127.0.0.1:0", ""), time.monotonic()
    command = [sys.executable, "-m", "scheduler.process_node", "edge"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    orders = process.stdin
    assert orders is not None
    with ending(process) as first_line, orders:
        orders.write(settings.to_json() + "\n")
        orders.flush()
        assert json.loads(first_line())["ready"]
        return time.monotonic() - began_s


@pytest.mark.slow
def test_an_edge_without_its_cloud_serves_alone(
    run_up: RunUp, artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # so that neither start knows anything
    most_s, began_s = 10 + engine_start_s(artifact), time.monotonic()
    with (
        run_up("edge", edge={"runtime": "process", "listen": "127.0.0.1:0", "registry": "127.0.0.1:1"}) as running,
        Client(running.address) as client,
    ):
        result = client.infer(MODEL, {"image": FLOWER}, timeout_s=60)
        assert time.monotonic() - began_s < most_s
        assert result.parameters["isthmus_finished_by"] == "edge"
        assert best_class(result.outputs["logits"]) == "daisy"
        (edge,) = (p for p in psutil.Process(running.process.pid).children() if "edge" in p.cmdline())
        edge.kill()  # nobody starts it again: who supervises the launcher must see that it is over
        assert running.process.wait(HANGS_S) == 1
    *_, draining, error = (running.folder / "isthmus.log").read_text().splitlines()
    assert (draining, error) == ("isthmus: draining", "error: edge node: died with -9")


@pytest.mark.slow
def test_an_edge_that_dies_before_all_is_ready_ends_the_start(tmp_path: Path, artifact: Path) -> None:
    path, log = tmp_path / "isthmus.yaml", tmp_path / "log"
    sections = {
        "models": [{"name": MODEL, "source": str(artifact)}],
        "edge": {"runtime": "process", "listen": "127.0.0.1:0"},
        "cloud": {"runtime": "process", "registry_listen": "127.0.0.1:0"},
    }
    path.write_text(yaml.safe_dump(sections))
    command = [sys.executable, "-m", "isthmus", "up", str(path)]
    with log.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    with ending(process) as first_line:
        over_s = time.monotonic() + HANGS_S
        while "edge serves at" not in log.read_text():
            assert time.monotonic() < over_s, log.read_text()
            time.sleep(0.01)
        (edge,) = (one for one in psutil.Process(process.pid).children() if "edge" in one.cmdline())
        edge.kill()
        assert process.wait(100) == 1  # waiting for plans alone takes two minutes
        assert first_line() == ""
    assert log.read_text().splitlines()[-1] == "error: edge node: died with -9"


def test_a_port_in_use_is_a_failure_of_one_line(tmp_path: Path, artifact: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        path = tmp_path / "isthmus.yaml"
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        path.write_text(
            f"models: [{{name: {MODEL}, source: '{artifact}'}}]\n"
            f"cloud: {{registry_listen: '{address}', runtime: process}}\n"
        )
        command = [sys.executable, "-m", "isthmus", "cloud", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=HANGS_S, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "cannot listen" in done.stderr.splitlines()[-1]
