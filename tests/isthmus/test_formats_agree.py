"""One model by several formats: the same outputs, and the same best cuts for given costs of compute and link."""

from __future__ import annotations

import warnings

import pytest
import torch

from isthmus import zoo
from partitioner.condition import Condition
from partitioner.cost_model import Costing
from partitioner.front_end import model_from_module, model_from_pt2
from partitioner.frontier import frontier_of
from partitioner.link import Link
from partitioner.measurements import CodecRate, Provenance
from partitioner.model import Model
from partitioner.onnx_front_end import model_from_onnx
from partitioner.partition import Setting, partition_graph
from partitioner.profiles import DeviceProfile
from partitioner.torchscript import model_from_torchscript

_BATCHED = ({0: torch.export.Dim("batch", min=1)},)
_BANDWIDTHS = ("1mbps", "3mbps", "10mbps", "20mbps", "40mbps", "100mbps", "1gbps")


@pytest.fixture(scope="module")
def network() -> Model:
    """efficientnet-lite0 as the module that it is."""
    return model_from_module(zoo.efficientnet_lite0())


@pytest.fixture(scope="module")
def onnx(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The same from the ONNX file that torch's own exporter writes of it."""
    spec, path = zoo.efficientnet_lite0(), tmp_path_factory.mktemp("onnx") / "efficientnet.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter uses what torch has deprecated
        torch.onnx.export(
            spec.module, spec.example_inputs, path, dynamo=True, verbose=False, dynamic_shapes=_BATCHED,
            input_names=["image"], output_names=["logits"],
        )  # fmt: skip
    return model_from_onnx(path)


@pytest.fixture(scope="module", params=["onnx", "pt2", "torchscript"])
def other(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The same from a file of each kind."""
    if request.param == "onnx":
        found: Model = request.getfixturevalue("onnx")
        return found
    spec, path = zoo.efficientnet_lite0(), tmp_path_factory.mktemp("file") / f"efficientnet.{request.param}"
    if request.param == "pt2":
        torch.export.save(torch.export.export(spec.module, spec.example_inputs, dynamic_shapes=_BATCHED), path)
        return model_from_pt2(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch has deprecated TorchScript
        torch.jit.trace(spec.module, spec.example_inputs).save(path)  # type: ignore[no-untyped-call]
    return model_from_torchscript(path, spec.example_inputs)


def device(flops_per_s: float) -> DeviceProfile:
    """Compute alone costs time: what an op weighs in either format."""
    provenance = Provenance("2026-01-01T00:00:00+00:00", "bench", "2.9", 0.0, False, "default")
    rates = {"raw": CodecRate(0.0, 0.0, 0.0, 0.0), "zstd": CodecRate(1e-9, 1e-5, 1e-9, 1e-5)}
    return DeviceProfile("cpu", "bench", 1, 1.0, {"float32": flops_per_s}, 1e15, 0.0, rates, provenance)


def best_boundary(model: Model, bandwidth: str) -> list[tuple[str, tuple[int, ...]]]:
    """dtypes and shapes of what crosses in the best plan."""
    setting = Setting(device(2e9), device(2e11), Link.of(bandwidth=bandwidth, rtt="10ms"), Costing())
    tensors = (model.graph.tensors[t.tensor] for t in partition_graph(model, setting, "latency").boundary)
    return sorted((t.dtype, t.shape_at(1)) for t in tensors)


def test_they_compute_the_same(network: Model, other: Model) -> None:
    picture = torch.randn(3, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(network(picture), other(picture), rtol=1e-4, atol=1e-4)


def test_they_weigh_the_same(network: Model, other: Model) -> None:
    first, second = (
        sum(op.flops for op in model.graph.ops if op.kind in ("conv2d", "convolution", "linear", "Conv", "Gemm"))
        for model in (network, other)
    )
    assert first == pytest.approx(second, rel=1e-2)


def test_their_best_cuts_are_at_the_same_tensors(network: Model, other: Model) -> None:
    found = {bandwidth: [best_boundary(m, bandwidth) for m in (network, other)] for bandwidth in _BANDWIDTHS}
    assert all(first == second for first, second in found.values())
    assert len({tuple(cut[0]) for cut in found.values()}) > 2  # the links do call for different cuts


def test_their_frontiers_cost_the_same_everywhere(network: Model, other: Model) -> None:
    setting = Setting(device(2e9), device(2e11), Link.of("1mbps", "0ms"), Costing())
    frontiers = [frontier_of(model, setting) for model in (network, other)]
    for bps in (1e5 * 2**step for step in range(16)):
        for load in (0.1, 1.0, 10.0):
            condition = Condition(Link(bps, bps, 0.01), 1.0, load)
            first, second = (frontier.best(condition).total_s(condition) for frontier in frontiers)
            assert first == pytest.approx(second, rel=0.02), (bps, load)


def test_cuts_of_the_onnx_file_give_its_own_bits(onnx: Model) -> None:
    picture = torch.randn(3, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    ops, whole = [op.name for op in onnx.graph.ops], onnx(picture)
    for count in (0, 1, 20, len(ops) // 2, len(ops) - 5, len(ops)):
        segments = onnx.split(ops[:count])
        assert torch.equal(segments.suffix(*segments.prefix(picture))[0], whole[0]), count
