"""What stands in files: plans and other documents as JSON, model graphs, pictures; and every codec's messages, made by
the real writers. See `benchmarks.fuzz_targets`."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.fuzz_models import model_targets
from benchmarks.fuzz_mutation import Mutator
from benchmarks.fuzz_streams import CloudFrames, EdgeFrames
from benchmarks.fuzz_targets import (
    PICTURES,
    Codecs,
    Fleet,
    Offers,
    Requests,
    Target,
    small_model,
)
from nodes.codecs.base import EncodedTensor
from nodes.codecs.factory import codec, image_codec
from nodes.codecs.linear import ranges_parameter
from nodes.image_files import rgb_picture
from nodes.measure.transform_fit import fit_transform
from nodes.plan_shapes import cut_plan
from nodes.preprocessing import ImageBatch, picture
from partitioner.artifact import load_artifact, save_artifact
from partitioner.cost_model import Costing
from partitioner.frontier import Frontier, frontier_of
from partitioner.link import Link
from partitioner.measurements import AffineTime, CodecRate, Measurement, OpTimes, Provenance
from partitioner.plan import Plan
from partitioner.plan_table import PlanCosts, PlanEntry, PlanTable
from partitioner.profiles import DeviceProfile
from partitioner.setting import Setting
from partitioner.spec import ImagePreprocessing, InputSpec, Interface, OutputSpec
from partitioner.torch_artifact import torch_model_from_data

__all__ = ["all_targets"]

Reader = Callable[[str], object]


def all_targets() -> tuple[Target, ...]:
    """Every reader, with sound data for it. Takes some seconds."""
    return (
        CloudFrames(), EdgeFrames(), Codecs(tuple(_messages())), Requests(), Fleet(), Offers(),
        *_documents(), Graphs(), Pictures(), *model_targets(),
    )  # fmt: skip


# ---- codecs --------------------------------------------------------------------------------------------------------


def _messages() -> Iterator[tuple[EncodedTensor, Mapping[str, str]]]:
    """A message of every codec, with the parameters that it takes."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 6, 5, 4, generator=generator)
    wide = features.to(memory_format=torch.channels_last)
    table = fit_transform(features.repeat(4, 1, 1, 1), torch.randn(8, 6, 5, 4, generator=generator)).table(0.5)
    ranges = ranges_parameter(features)
    tuned: list[tuple[str, Mapping[str, str]]] = [(name, {}) for name in ("raw", "zstd", "lz4", "int8", "int5", "int3")]
    tuned += [("int8", {"ranges": ranges}), ("int4", {"coder": "range"}), ("int6", {"scope": "tensor"})]
    tuned += [("tiled", {"format": form, "quality": "50", "ranges": ranges}) for form in ("jpeg", "webp-lossy", "avif")]
    tuned += [("transform", {"table": table.to_text()})]
    for name, parameters in tuned:
        made = codec(name, parameters)
        for values in (features, wide, 1e30 * features):
            yield made.encode("x", values), parameters
    for values in (torch.arange(10), torch.tensor(True), torch.zeros(0, 3), torch.ones(3, dtype=torch.bfloat16)):
        for name in ("raw", "zstd", "lz4", "int8"):
            yield codec(name).encode("x", values), {}
    files = ImageBatch(tuple(_pictures((12, 16))[:3]))
    for name in ("file", "png", "webp", "jpeg", "webp-lossy", "avif"):
        parameters = {"quality": "80"} if name in ("jpeg", "webp-lossy", "avif") else {}
        yield image_codec(name, PICTURES, parameters).encode_images("image", files), parameters


def _pictures(size: tuple[int, int]) -> list[bytes]:
    """A small picture in every format and several modes."""
    noise = np.random.default_rng(0).integers(0, 256, (*size, 4), np.uint8)
    colour, files = Image.fromarray(noise[..., :3]), list[bytes]()
    kinds: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (colour, "JPEG", {}), (colour, "PNG", {}), (colour, "WEBP", {}), (colour, "BMP", {}), (colour, "GIF", {}),
        (colour, "JPEG", {"progressive": True}), (Image.fromarray(noise, "RGBA"), "PNG", {}),
        (colour.convert("P"), "PNG", {"transparency": 3}), (colour.convert("L"), "JPEG", {}),
        (Image.fromarray(noise, "RGBA"), "WEBP", {"lossless": True}), (colour.convert("1"), "PNG", {}),
        (Image.fromarray(noise[..., 0].astype(np.uint16) * 257), "PNG", {}), (colour.convert("CMYK"), "JPEG", {}),
        (colour, "GIF", {"save_all": True, "append_images": [colour.rotate(90)]}),
    ]  # fmt: skip
    for image, form, options in kinds:
        buffer = io.BytesIO()
        image.save(buffer, form, **options)
        files.append(buffer.getvalue())
    return files


class Pictures:
    """An image file, read and brought to a model's size."""

    name = "pictures"

    def __init__(self) -> None:
        self._sound = _pictures((24, 16))

    def run(self, mutator: Mutator) -> None:
        """See Target."""
        file = mutator.data(mutator.rng.choice(self._sound), self._sound)
        if mutator.often(0.5):
            rgb_picture(file, "image")
        else:
            assert picture(file, PICTURES).shape == (PICTURES.height, PICTURES.width, 3)


# ---- documents -----------------------------------------------------------------------------------------------------


class Document:
    """One kind of JSON document."""

    def __init__(self, name: str, sound: Sequence[str], read: Reader) -> None:
        self.name, self._sound, self._read = name, [text.encode() for text in sound], read
        self._values = [json.loads(text) for text in sound]

    def run(self, mutator: Mutator) -> None:
        """See Target."""
        if mutator.often(0.7):
            value = mutator.rng.choice(self._values)
            for _ in range(mutator.rng.choice((1, 1, 2, 3))):
                value = mutator.document(value)
            self._read(_text(value))
        else:
            self._read(mutator.data(mutator.rng.choice(self._sound), self._sound).decode("utf-8", "replace"))


def _text(value: Any) -> str:
    try:
        return json.dumps(value)
    except RecursionError:  # as deep as a file may be; the writer cannot, the reader must bear it
        return "[" * 100_000


def _documents() -> Iterator[Target]:
    model = small_model()
    names = tuple(op.name for op in model.graph.ops)
    plans = [cut_plan(model, names[:count], {}, "int8") for count in (0, 2, len(names))]
    yield Document("plans", [plan.to_json() for plan in plans], Plan.from_json)
    costs = PlanCosts(AffineTime(1, 2), AffineTime(3, 4), 100, 50.0, 10, 5.0, AffineTime(0, 9))
    table = PlanTable(model.name, model.digest, tuple(PlanEntry(plan, costs) for plan in plans))
    yield Document("plan tables", [table.to_json()], PlanTable.from_json)
    alone = {name: Measurement(1.0, 0.0, 9) for name in names}
    profile = _profile().with_op_times(OpTimes(model.digest, "eager", 1, 1, alone, Measurement(2.0, 0.0, 9)))
    yield Document("profiles", [profile.to_json()], DeviceProfile.from_json)
    found = frontier_of(model, Setting(profile, profile, Link.of("20mbps", "2ms"), Costing()))
    yield Document("frontiers", [found.to_json()], Frontier.from_json)
    interface = Interface(
        "m", (InputSpec("image", ImagePreprocessing(224, 224, 256)),), (OutputSpec("logits", labels=("a", "b")),)
    )
    yield Document("specs", [interface.to_json(), model.interface.to_json()], Interface.from_json)


def _profile() -> DeviceProfile:
    return DeviceProfile(
        device="cpu", name="device", threads=1, slowdown=1.0, flops_per_s={"float32": 1e10}, memory_bytes_per_s=1e10,
        op_overhead_s=1e-6, codec_rates={name: CodecRate(1e-9, 1e-5, 1e-9, 1e-5) for name in ("raw", "zstd", "int8")},
        provenance=Provenance("2026-01-01T00:00:00Z", "device", "2.13", 0.1, False, "glibc"),
    )  # fmt: skip


class Graphs:
    """graph.json of an artifact, whose hash its spec vouches for: whoever made the one could make the other."""

    name = "graphs"

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            model = small_model()
            save_artifact(model, folder)
            self._sound = json.loads((Path(folder) / "graph.json").read_text())
            self._interface = load_artifact(folder).interface
            self._weights = dict(load_artifact(folder).weights)

    def run(self, mutator: Mutator) -> None:
        """See Target."""
        data = self._sound
        for _ in range(mutator.rng.choice((1, 1, 2, 3))):
            data = mutator.document(data)
        if isinstance(data, dict):  # as `partitioner.artifact` makes sure
            torch_model_from_data(data, self._weights, self._interface)
