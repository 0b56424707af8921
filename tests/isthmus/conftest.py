"""A small picture classifier, exported, on two devices; and the report about it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from isthmus.report import Report, report_of
from partitioner.cost_model import Costing
from partitioner.front_end import model_from_module
from partitioner.link import Link
from partitioner.measurements import CodecRate, Provenance
from partitioner.model import Model
from partitioner.partition import partition_graph
from partitioner.profiles import DeviceProfile
from partitioner.setting import Setting
from partitioner.spec import ImagePreprocessing, ModelSpec

NAME = "small <&> model"


@pytest.fixture(scope="session")
def model() -> Model:
    """Four convolutions that make 32 x 32 pictures smaller and smaller, and a classifier."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(c, 8, 3, 2, 1) for c in (3, 8, 8)]
    steps = [step for layer in layers for step in (layer, nn.ReLU())]
    module = nn.Sequential(*steps, nn.Flatten(), nn.Linear(8 * 4 * 4, 5))
    return model_from_module(
        ModelSpec(
            module=module.eval(),
            example_inputs=(torch.zeros(2, 3, 32, 32),),
            name=NAME,
            input_names=("image",),
            output_names=("logits",),
            preprocessing={"image": ImagePreprocessing(32, 32, 36)},
        )
    )


def device(name: str, slowdown: float = 1.0, noisy: bool = False) -> DeviceProfile:
    """Without op times: the roofline stands in for them."""
    rates = {codec: CodecRate(1e-9, 1e-6, 1e-9, 1e-6) for codec in ("raw", "zstd", "int8", "png", "file")}
    return DeviceProfile(
        device="cpu",
        name=name,
        threads=1,
        slowdown=slowdown,
        flops_per_s={"float32": 5e9 / slowdown},
        memory_bytes_per_s=1e10 / slowdown,
        op_overhead_s=2e-5 * slowdown,
        codec_rates=rates,
        provenance=Provenance("2026-01-01T00:00:00Z", "somewhere", "2.13", 0.1, noisy, "glibc"),
        preprocessing_s_per_pixel=1e-8,
    )


@pytest.fixture(scope="session")
def setting() -> Setting:
    """A slow edge behind a link that makes a cut worth while."""
    return Setting(device("edge", slowdown=40.0), device("cloud"), Link.of("4mbps", "2ms"), Costing(lossless=False))


@pytest.fixture(scope="session")
def report(model: Model, setting: Setting) -> Report:
    """Both input forms."""
    return report_of(model, setting, partition_graph(model, setting))


@pytest.fixture(scope="session")
def report_over(model: Model, setting: Setting) -> Callable[[str], Report]:
    """The report over a link of that bandwidth."""

    def over(bandwidth: str) -> Report:
        there = Setting(setting.edge, setting.cloud, Link.of(bandwidth, "2ms"), setting.costing)
        return report_of(model, there, partition_graph(model, there))

    return over
