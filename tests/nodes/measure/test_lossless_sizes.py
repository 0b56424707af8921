"""The lossless codecs as measured on a few calibration inputs, in place of what is assumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nodes.codecs.factory import codec
from nodes.codecs.image import PngCodec
from nodes.measure.calibration_items import CalibrationRuns
from nodes.measure.codec_sizes import measured_codec
from nodes.measure.lossless_sizes import MOST_ITEMS, in_form, unmeasured_words, with_lossless_sizes
from nodes.measure.picture_codecs import lossless_picture
from nodes.preprocessing import normalise
from nodes.sample_inputs import sample_tensors
from partitioner.codec_choice import CodecSize
from partitioner.cost_model import Costing, model_costs
from partitioner.link import Link
from partitioner.measurements import CodecRate, Provenance
from partitioner.plan import InputForm
from partitioner.profiles import DeviceProfile
from partitioner.spec import ImagePreprocessing
from partitioner.torch_model import TorchModel
from tests.nodes.networks import recurrent_model

HOW = ImagePreprocessing(16, 16, 16)


@pytest.fixture(scope="module")
def model(small_model: TorchModel) -> TorchModel:
    """With as many calibration inputs as are taken, which are pictures."""
    pixels = torch.randint(0, 256, (MOST_ITEMS, 16, 16, 3), generator=torch.Generator().manual_seed(0))
    (spec,) = small_model.interface.inputs
    interface = replace(small_model.interface, inputs=(replace(spec, preprocessing=HOW),))
    inputs = normalise(pixels.to(torch.uint8).numpy(), HOW)
    return replace(small_model, interface=interface, calibration=(inputs,))


def found(model: TorchModel, form: str = "tensor") -> dict[tuple[str, str], CodecSize]:
    """By codec and tensor."""
    costing = with_lossless_sizes(Costing(form=form), model)  # type: ignore[arg-type]
    return {(size.codec, size.tensor): size for size in costing.codecs}


def test_every_tensor_that_may_cross_is_measured(model: TorchModel) -> None:
    measured = {tensor for codec_name, tensor in found(model) if codec_name == "zstd"}
    assert measured == set(model.graph.tensors)


def test_sizes_are_those_of_the_codec_on_the_items(model: TorchModel) -> None:
    items = CalibrationRuns(model).at([model.graph.ops[0].name])
    (tensor,) = items.segments.boundary
    wanted = measured_codec(items, tensor, codec("zstd")).size
    measured = found(model)["zstd", tensor]
    assert (measured.ratio, measured.spread) == pytest.approx((wanted.ratio, wanted.spread))
    assert measured.lossless


def test_lz4_is_there_where_it_makes_a_tensor_smaller(model: TorchModel) -> None:
    (relu,) = (op.outputs[0] for op in model.graph.ops if op.kind == "relu")
    sizes = found(model)
    assert sizes["lz4", relu].ratio < 1.0
    assert ("lz4", model.graph.ops[0].outputs[0]) not in sizes  # dense
    assert all(size.ratio < 1.0 for (codec_name, _), size in sizes.items() if codec_name == "lz4")


def test_what_was_measured_is_assumed_no_longer(model: TorchModel) -> None:
    assert {name for name, tensor in found(model) if not tensor} == {"raw", "int8", "png", "webp"}
    assert {name for name, tensor in found(model, "bytes") if not tensor} == {"raw", "int8"}


def test_pictures_have_the_lengths_of_the_calibration_pictures(model: TorchModel) -> None:
    (tensor,) = model.graph.inputs
    wanted = lossless_picture(model.calibration[0], tensor, PngCodec(HOW), HOW)
    measured = found(model, "bytes")["png", tensor]
    assert measured.wire_bytes(model.graph.tensors[tensor].bytes) == wanted.bytes
    assert measured.applies_to == "picture"


def test_without_calibration_inputs_nothing_changes(model: TorchModel) -> None:
    assert with_lossless_sizes(Costing(), replace(model, calibration=())) == Costing()


def test_of_inputs_that_do_not_begin_with_the_batch_nothing_is_measured_and_that_is_said(
    model: TorchModel, tmp_path: Path
) -> None:
    recurrent = recurrent_model(tmp_path / "a.onnx")
    assert with_lossless_sizes(Costing(), recurrent) == Costing()
    assert unmeasured_words(recurrent).endswith("input 'state' does not begin with the batch")
    assert unmeasured_words(model) == unmeasured_words(replace(model, calibration=())) == ""


def test_samples_of_inputs_that_do_not_begin_with_the_batch_are_made_up(tmp_path: Path) -> None:
    samples = sample_tensors(recurrent_model(tmp_path / "a.onnx"), 3)
    assert [tuple(one.shape) for one in samples] == [(2, 3, 3), (3, 3)]


def test_codecs_that_were_stated_stay_as_they_are(model: TorchModel) -> None:
    stated = Costing(codecs=(CodecSize("raw", 1.0, True, "exact"), CodecSize("zstd", 0.5, True, "stated")))
    assert with_lossless_sizes(stated, model) is stated


@pytest.mark.parametrize(("given", "other"), [("tensor", "bytes"), ("bytes", "tensor")])
def test_for_the_other_form_of_input_the_sizes_are_those_measured_for_it(
    model: TorchModel, given: InputForm, other: InputForm
) -> None:
    assert in_form(with_lossless_sizes(Costing(form=given), model), other, model) == with_lossless_sizes(
        Costing(form=other), model
    )


def test_for_the_other_form_codecs_that_were_stated_stay(model: TorchModel) -> None:
    stated = Costing(codecs=(CodecSize("raw", 1.0, True, "stated"),))
    assert in_form(stated, "bytes", model) == replace(stated, form="bytes")


def test_a_model_is_measured_once(model: TorchModel) -> None:
    first, again = found(model), found(model)
    assert all(again[key] is size for key, size in first.items())
    assert found(model, "bytes").keys() != first.keys()


def test_a_tensor_crosses_in_what_is_quickest_by_what_was_measured(model: TorchModel) -> None:
    (relu,) = (op.outputs[0] for op in model.graph.ops if op.kind == "relu")
    rates = {"lz4": CodecRate(1e-10, 0.0, 1e-10, 0.0), "zstd": CodecRate(1e-8, 0.0, 1e-8, 0.0)}
    made = Provenance("2026-01-01T00:00:00Z", "somewhere", "2.13", 0.1, False, "glibc")
    device = DeviceProfile("cpu", "device", 1, 1.0, {"float32": 1e10}, 1e10, 1e-6, rates, made)

    def quickest(costing: Costing) -> str:
        costs = model_costs(model, device, device, Link.of("500mbps", "1ms"), costing)
        return min(costs.uplink[relu], key=lambda quote: quote.total_s).size.codec

    assert (quickest(Costing()), quickest(with_lossless_sizes(Costing(), model))) == ("raw", "lz4")
