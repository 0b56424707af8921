"""What the fidelity scenarios run: their models by name, on which engines and devices, and one request's inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.ray_site import paced_profile
from isthmus import zoo
from nodes.sample_inputs import sample_tensors
from nodes.settings import ModelArtifact
from partitioner.artifact import save_artifact
from partitioner.front_end import model_from_module
from partitioner.model import Model

__all__ = ["SUBJECTS", "Installed", "Subject", "install"]

SENSORS, SAMPLES, KEPT, DEPTH = 24, 256, 32, 5
WIDTH, DEAR_WIDTH = 192, 768


class SensorArray(nn.Module):
    """24 sensors' samples, 25 kB; a small encoder makes 3 kB of them, from which convolutions over the array tell one
    of ten things. Cheap before the narrow place and dear behind it, so that cutting there is worth it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(SAMPLES, SAMPLES), nn.ReLU(), nn.Linear(SAMPLES, KEPT), nn.ReLU())
        widths = [KEPT, *[width] * DEPTH]
        layers = [
            layer
            for inputs, outputs in pairwise(widths)
            for layer in (nn.Conv1d(inputs, outputs, 3, padding=1), nn.ReLU())
        ]
        self.array = nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(width, 10))

    def forward(self, samples: Tensor) -> Tensor:
        answer: Tensor = self.array(self.encoder(samples).transpose(1, 2))
        return answer


def _sensor_array(name: str, width: int) -> Model:
    torch.manual_seed(0)
    return model_from_module(SensorArray(width).eval(), (torch.zeros(2, SENSORS, SAMPLES),), name)


@dataclass(frozen=True, slots=True)
class Subject:
    """A model and its devices. paced_s: what the whole model takes a replica, asleep; None for real compute.
    slowdown: emulated, of the edge. file: what a request brings, None for tensors."""

    make: Callable[[], Model]
    engine: str = "eager"
    slowdown: float = 1.0
    paced_s: float | None = None
    file: Path | None = None

    @property
    def told(self) -> str:
        """In words."""
        cloud = self.engine if self.paced_s is None else f"paced, {self.paced_s * 1e3:g} ms"
        return f"edge on {self.engine}, slowed {self.slowdown:g} times; cloud {cloud}"


def _subjects() -> Mapping[str, Subject]:
    photo = next(iter(zoo.demo_photos()[-1:]), None)
    efficientnet = Subject(lambda: model_from_module(zoo.efficientnet_lite0()), "onnxruntime", file=photo)
    sentences = Subject(lambda: model_from_module(zoo.minilm()), "onnxruntime")
    return {
        "sensor-array": Subject(lambda: _sensor_array("sensor-array", WIDTH), paced_s=0.024),
        # Some 40 ms on the edge, so that it depends on link and queues where a request is better off. The emulated
        # slowdown multiplies whatever a prefix waits for the interpreter, too: at 62 requests a second one of 8.5 ms
        # took 29. So it is for edges with few requests.
        "slow-sensor-array": Subject(
            lambda: _sensor_array("slow-sensor-array", DEAR_WIDTH), slowdown=12.0, paced_s=0.024
        ),
        "efficientnet-lite0": efficientnet,
        "all-minilm-l6-v2": sentences,
    }


SUBJECTS = _subjects()


@dataclass(frozen=True, slots=True)
class Installed:
    """A subject's artifact and, of a paced one, the profile that paces it ("" without). inputs: of one request."""

    name: str
    subject: Subject
    artifact: ModelArtifact
    paced_by: str
    inputs: Mapping[str, object]

    @property
    def input_bytes(self) -> int | None:
        """Of the file that a request brings; None for tensors."""
        return None if self.subject.file is None else self.subject.file.stat().st_size


def install(name: str, folder: Path) -> Installed:
    """Make the model's files in `folder`."""
    subject = SUBJECTS[name]
    model = subject.make()
    save_artifact(model, folder / name)
    paced_by = ""
    if subject.paced_s is not None:
        paced_by = str(folder / f"{name}.paced.json")
        Path(paced_by).write_text(paced_profile([model], subject.paced_s).to_json())
    inputs: dict[str, object] = {}
    for tensor, value in zip(model.graph.inputs, sample_tensors(model, 1), strict=True):
        inputs[tensor] = value.numpy()
    if subject.file is not None:
        inputs[model.graph.inputs[0]] = subject.file
    return Installed(name, subject, ModelArtifact(name, str(folder / name)), paced_by, inputs)
