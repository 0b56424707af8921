"""An unmodified public client, in an environment and a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from isthmus.zoo import demo_photos, imagenet_classes

SCRIPT = """
import json, sys
import numpy as np
import tritonclient.grpc as triton
client = triton.InferenceServerClient(sys.argv[1])
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("efficientnet-lite0")
metadata = client.get_model_metadata("efficientnet-lite0", as_json=True)
image = triton.InferInput("image", [1], "BYTES")
image.set_data_from_numpy(np.array([open(sys.argv[2], "rb").read()], dtype=object))
result = client.infer("efficientnet-lite0", [image], request_id="mine")
tensor = triton.InferInput("image", [2, 3, 224, 224], "FP32")
tensor.set_data_from_numpy(np.zeros((2, 3, 224, 224), np.float32))
both = client.infer("efficientnet-lite0", [tensor])
print(json.dumps({"class": int(result.as_numpy("logits")[0].argmax()), "id": result.get_response().id,
                  "batch": list(both.as_numpy("logits").shape), "inputs": metadata["inputs"]}))
"""


@pytest.fixture(scope="session")
def triton_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with tritonclient, which wants another protobuf than this one may have."""
    folder = tmp_path_factory.mktemp("triton")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=120)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "tritonclient[grpc]"], check=True, timeout=300)
    return python


@pytest.mark.slow
def test_tritonclient_gets_the_class_of_a_photo(up: Any, triton_python: Path) -> None:
    command = [triton_python, "-c", SCRIPT, up.address, str(demo_photos()[-1])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert imagenet_classes()[said["class"]] == "daisy"
    assert said["id"] == "mine"
    assert said["batch"] == [2, 1000]
    assert said["inputs"] == [{"name": "image", "datatype": "FP32", "shape": ["-1", "3", "224", "224"]}]
