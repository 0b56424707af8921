"""A plan with a calibrated codec, from the command line through edge, wire and cloud: real model, real photos."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from isthmus.client import Client
from isthmus.zoo import demo_photos, imagenet_classes
from nodes.codecs.factory import codec
from nodes.measure.accuracy import measure_accuracy
from nodes.plan_shapes import cut_plan
from nodes.preprocessing import ImageBatch, preprocess
from partitioner.artifact import load_artifact
from partitioner.measurements import CodecRate, Provenance
from partitioner.plan import Plan, TensorCodec
from partitioner.profiles import DeviceProfile
from tests.system.conftest import MODEL
from tests.system.launched import HANGS_S

CAT, COFFEE, ROCKET, FLOWER = demo_photos()
RIGHT = {CAT: ("tiger cat", "Egyptian cat", "tabby"), COFFEE: ("espresso",), ROCKET: ("missile",), FLOWER: ("daisy",)}
RATES = {name: CodecRate(2e-9, 1e-5, 2e-9, 1e-5) for name in ("raw", "zstd", "int8")}
RunUp = Callable[..., contextlib.AbstractContextManager[Any]]


def profile(name: str, slowdown: float) -> str:
    """What a device might measure: which cut is best is no matter of this test, that a split is follows from these."""
    made = Provenance("2026-01-01T00:00:00Z", name, "2.13", 0.1, False, "glibc")
    rates = RATES | {"transform": CodecRate(2e-8, 5e-4, 2e-8, 5e-4)}
    return DeviceProfile("cpu", name, 1, 1.0, {"float32": 4e10 / slowdown}, 1e10, 1e-5, rates, made).to_json()


@dataclass(frozen=True)
class Planned:
    """The plan that the command line wrote, one of lossy pictures beside it, and where both are served."""

    plan: Plan
    pictures: Plan
    client: Client


@pytest.fixture(scope="module")
def planned(run_up: RunUp, artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planned]:
    folder = tmp_path_factory.mktemp("planned")
    for name, slowdown in (("edge", 8.0), ("cloud", 1.0)):
        (folder / f"{name}.json").write_text(profile(name, slowdown))
    command = [sys.executable, "-m", "isthmus", "partition", str(artifact), "--accuracy-budget", "0.02"]
    command += ["--edge", str(folder / "edge.json"), "--cloud", str(folder / "cloud.json")]
    command += ["--bandwidth", "2mbps", "--rtt", "10ms", "-o", str(folder / "plan.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANGS_S, check=False)
    assert done.returncode == 0, done.stderr
    jpeg = TensorCodec("image", "jpeg", {"quality": "90"})
    pictures = cut_plan(load_artifact(artifact), (), {"image": jpeg}, form="bytes")
    (folder / "pictures.json").write_text(pictures.to_json())
    plans = [str(folder / name) for name in ("plan.json", "pictures.json")]
    models = [{"name": MODEL, "source": str(artifact), "plans": plans}]
    with (
        run_up(
            models=models,
            edge={"runtime": "process", "listen": "127.0.0.1:0"},
            cloud={"runtime": "process", "registry_listen": "127.0.0.1:0"},
            link={"bandwidth": "50mbps", "rtt": "5ms"},
        ) as running,
        Client(running.address) as client,
    ):
        yield Planned(Plan.from_json((folder / "plan.json").read_text()), pictures, client)


def test_the_plan_holds_a_calibrated_codec_and_what_it_loses(planned: Planned, artifact: Path) -> None:
    plan, model = planned.plan, load_artifact(artifact)
    (tensor,) = plan.boundary
    assert (plan.kind, tensor.codec) == ("split", "transform")
    assert 0 < tensor.spread_bytes < tensor.bytes < model.graph.tensors[tensor.tensor].bytes / 6
    found = measure_accuracy(model, plan.edge_ops, {tensor.tensor: codec(tensor.codec, tensor.parameters)})
    assert found.value >= 0.98
    assert (
        f"{found.value:.4f} [{found.low:.4f}, {found.high:.4f}] on 30 calibration items" in plan.provenance["accuracy"]
    )


@pytest.mark.parametrize("photo", RIGHT, ids=lambda photo: photo.stem)
def test_a_photo_gets_its_class_in_about_the_bytes_predicted(planned: Planned, photo: Path) -> None:
    form = replace(planned.plan, form="bytes")
    result = planned.client.infer(MODEL, {"image": photo}, plan_id=form.plan_id, timeout_s=60)
    assert imagenet_classes()[int(result.outputs["logits"].argmax())] in RIGHT[photo]
    assert (result.plan_id, result.parameters["isthmus_finished_by"]) == (form.plan_id, "cloud")
    sent = int(result.parameters["isthmus_wire_bytes"]) - result.outputs["logits"].nbytes
    (tensor,) = planned.plan.boundary
    assert abs(sent - tensor.bytes) <= 4 * tensor.spread_bytes


def test_a_photo_gets_its_class_as_a_lossy_picture_of_the_models_size(planned: Planned) -> None:
    plan = planned.pictures
    result = planned.client.infer(MODEL, {"image": COFFEE}, plan_id=plan.plan_id, timeout_s=60)
    assert imagenet_classes()[int(result.outputs["logits"].argmax())] == "espresso"
    assert (result.plan_id, result.parameters["isthmus_finished_by"]) == (plan.plan_id, "cloud")
    assert int(result.parameters["isthmus_wire_bytes"]) < 40_000 < COFFEE.stat().st_size


def test_what_the_wire_carries_is_what_the_codec_gives(planned: Planned, artifact: Path) -> None:
    plan, model = planned.plan, load_artifact(artifact)
    how = model.interface.inputs[0].preprocessing
    assert how is not None
    image = preprocess(ImageBatch((FLOWER.read_bytes(),)), how)
    result = planned.client.infer(MODEL, {"image": image.numpy()}, plan_id=plan.plan_id, timeout_s=60)
    torch.set_num_threads(1)
    segments = model.split(plan.edge_ops)
    (tensor,), made = plan.boundary, codec(plan.boundary[0].codec, plan.boundary[0].parameters)
    with torch.inference_mode():
        (value,) = segments.prefix(image)
        (whole,) = segments.suffix(made.decode(made.encode(tensor.tensor, value)))
    assert np.array_equal(result.outputs["logits"], whole.numpy())


def test_a_plan_of_another_model_is_refused_by_the_key(artifact: Path, tmp_path: Path, planned: Planned) -> None:
    stranger = replace(planned.plan, model_digest="0" * 64)
    (tmp_path / "plan.json").write_text(stranger.to_json())
    (tmp_path / "isthmus.yaml").write_text(
        f"models: [{{name: {MODEL}, source: '{artifact}', plans: [plan.json]}}]\nedge: {{runtime: process}}\n"
    )
    command = [sys.executable, "-m", "isthmus", "edge", str(tmp_path / "isthmus.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANGS_S, check=False)
    assert done.returncode == 2
    assert f"models.{MODEL}.plans: is a plan of another model" in done.stderr.splitlines()[-1]
