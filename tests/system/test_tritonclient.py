"""An unmodified public client, in an environment and a process of its own (`triton_session.py`)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from isthmus.zoo import demo_photos, imagenet_classes
from tests.system.launched import HANGS_S

SESSION = Path(__file__).with_name("triton_session.py")
DAISY = imagenet_classes().index("daisy")
Play = Callable[[str], Any]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def triton_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with tritonclient, which wants another protobuf than this one may have."""
    folder = tmp_path_factory.mktemp("triton")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=HANGS_S)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "tritonclient[grpc]"], check=True, timeout=HANGS_S)
    return python


@pytest.fixture
def play(up: Any, triton_python: Path) -> Play:
    """Plays a scene with a photo of a daisy and returns what the client saw."""

    def played(scene: str) -> Any:
        command = [triton_python, str(SESSION), scene, up.address, str(demo_photos()[-1])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=HANGS_S, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return played


def test_a_request_gets_the_class_of_a_photo(play: Play) -> None:
    said = play("unary")
    assert said["class"] == DAISY
    assert said["id"] == "mine"
    assert said["batch"] == [2, 1000]
    assert said["inputs"] == [{"name": "image", "datatype": "FP32", "shape": ["-1", "3", "224", "224"]}]


@pytest.mark.parametrize(("scene", "requests"), [("callbacks", 3), ("coroutines", 4), ("compression", 2)])
def test_every_way_to_ask_gets_the_same_answer(play: Play, scene: str, requests: int) -> None:
    assert play(scene) == [DAISY] * requests


def test_a_stream_matches_answers_by_id_and_outlives_errors(play: Play) -> None:
    said = play("stream")
    assert said["classes"] == {f"good-{number}": DAISY for number in range(4)}
    name, shape = said["errors"]
    assert name.startswith("[request id: name] model 'nobody' is not served here")
    assert shape.startswith("[request id: shape] input image.shape: must be [-1, 3, 224, 224]")


def test_a_client_that_gives_up_its_stream_is_served_again(play: Play) -> None:
    assert play("abandoned") == DAISY


def test_configuration_and_statistics_are_those_of_the_model(play: Play) -> None:
    said = play("about")
    config, before, after = said["config"], said["before"], said["after"]
    assert (config["name"], config["platform"]) == ("efficientnet-lite0", "isthmus")
    assert config["input"] == [{"name": "image", "data_type": "TYPE_FP32", "dims": ["3", "224", "224"]}]
    assert config["output"] == [{"name": "logits", "data_type": "TYPE_FP32", "dims": ["1000"]}]
    assert config["max_batch_size"] >= 2
    assert {"model_configuration", "model_repository", "statistics"} <= set(said["extensions"])
    assert said["failed"][0] == "StatusCode.INVALID_ARGUMENT"
    assert int(after["inference_count"]) - int(before.get("inference_count", 0)) == 2
    counts = {name: int(value["count"]) for name, value in after["inference_stats"].items() if "count" in value}
    assert counts["success"] == counts["compute_infer"] == int(after["execution_count"])
    assert counts["fail"] == int(before["inference_stats"]["fail"].get("count", 0)) + 1
    assert int(after["inference_stats"]["compute_infer"]["ns"]) < int(after["inference_stats"]["success"]["ns"])


def test_classes_come_with_their_labels(play: Play) -> None:
    first, second = play("classes")
    assert first.split(":")[1:] == [str(DAISY), "daisy"]
    assert float(first.split(":")[0]) >= float(second.split(":")[0])


def test_a_model_goes_and_comes_back_and_nothing_else_does(play: Play) -> None:
    said = play("repository")
    assert [(one["name"], one["state"]) for one in said["index"]] == [("efficientnet-lite0", "READY")]
    gone = said["gone"]
    assert not gone["ready"]
    assert [(one["state"], one["reason"]) for one in gone["index"]] == [("UNAVAILABLE", "unloaded")]
    assert gone["infer"][0] == "StatusCode.NOT_FOUND"
    assert said["again"] == DAISY
    assert said["cloud"] == [DAISY, "cloud"]  # its plans with the replica are back, too
    assert said["config"][0] == "StatusCode.INVALID_ARGUMENT"
    assert said["stranger"][0] == "StatusCode.NOT_FOUND"
    for method in ("memory", "trace", "log"):
        assert said[method][0] == "StatusCode.UNIMPLEMENTED"
        assert "not supported" in said[method][1]
