"""A small picture classifier and two devices, as plain data: what planning needs, without torch."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from partitioner.graph import Dimension, ModelGraph, Op, TensorInfo
from partitioner.link import Link
from partitioner.measurements import CodecRate, Measurement, OpTimes, Provenance
from partitioner.partition import Setting
from partitioner.profiles import DeviceProfile
from partitioner.spec import ImagePreprocessing, InputSpec, Interface, OutputSpec

FLOATS = {"image": 150_528, "wide": 400_000, "narrow": 2_000, "features": 4_000, "logits": 1_000}


@dataclass(frozen=True, slots=True)
class PlainModel:
    """All that planning asks of a model."""

    name: str
    digest: str
    graph: ModelGraph
    interface: Interface


def _tensor(name: str, producer: str | None, consumers: tuple[str, ...]) -> TensorInfo:
    shape = (Dimension(1, 0), Dimension(0, FLOATS[name]))
    return TensorInfo(name, "float32", shape, producer, consumers, name == "logits")


def _op(name: str, kind: str, reads: str, makes: str, mega_flops: int) -> Op:
    flops = mega_flops * 10**6
    return Op(name, kind, flops, (reads,), (makes,), 1000, flops, 0)


@pytest.fixture
def model() -> PlainModel:
    """image -> stem -> wide -> body -> narrow -> grow -> features -> head -> logits; only `narrow` is small."""
    ops = (
        _op("stem", "aten.convolution.default", "image", "wide", 10),
        _op("body", "aten.convolution.default", "wide", "narrow", 40),
        _op("grow", "aten.relu.default", "narrow", "features", 200),
        _op("head", "aten.addmm.default", "features", "logits", 50),
    )
    chain = [
        ("image", None, "stem"),
        ("wide", "stem", "body"),
        ("narrow", "body", "grow"),
        ("features", "grow", "head"),
    ]
    tensors = {name: _tensor(name, producer, (reader,)) for name, producer, reader in chain}
    tensors["logits"] = _tensor("logits", "head", ())
    graph = ModelGraph(ops, tensors, ("image",), ("logits",))
    picture = ImagePreprocessing(224, 224, 256)
    return PlainModel(
        "plain", "d" * 64, graph, Interface("plain", (InputSpec("image", picture),), (OutputSpec("logits"),))
    )


def _device(name: str, flops_per_s: float) -> DeviceProfile:
    rates = {codec: CodecRate(1e-9, 1e-5, 1e-9, 1e-5) for codec in ("raw", "zstd", "int8", "png")}
    return DeviceProfile(
        device="cpu",
        name=name,
        threads=1,
        slowdown=1.0,
        flops_per_s={"float32": flops_per_s},
        memory_bytes_per_s=1e10,
        op_overhead_s=1e-6,
        codec_rates=rates,
        provenance=Provenance("2026-01-01T00:00:00Z", name, "2.13", 0.1, False, "glibc"),
        preprocessing_s_per_pixel=1e-8,
    )


@pytest.fixture
def edge() -> DeviceProfile:
    """10 GFLOP/s."""
    return _device("edge", 1e10)


@pytest.fixture
def cloud() -> DeviceProfile:
    """1 TFLOP/s."""
    return _device("cloud", 1e12)


@pytest.fixture
def setting(edge: DeviceProfile, cloud: DeviceProfile) -> Setting:
    """20 Mbit/s, where cutting at `narrow` wins."""
    return Setting(edge, cloud, Link.of("20mbps", "2ms"))


@pytest.fixture
def op_times(model: PlainModel) -> OpTimes:
    """1 s for each op alone, 2 s for the whole."""
    alone = {op.name: Measurement(1.0, 0.0, 9) for op in model.graph.ops}
    return OpTimes(model.digest, "eager", 1, 1, alone, Measurement(2.0, 0.0, 9))
