"""What a compiling engine compiles of a segment, and how the segment's outputs come together around it."""

from __future__ import annotations

import pytest
import torch

from isthmus.errors import InvalidModel, InvalidRequest
from nodes.engines.compiled_runner import CompiledRunner
from nodes.engines.compiled_slice import CompiledSlice, slice_of
from partitioner.front_end import model_from_module
from partitioner.segments import Segment
from partitioner.torch_model import TorchModel, TorchSegment
from tests.nodes.engines.networks import Pictures, Sentences, pictures, sentences


@pytest.fixture(scope="module")
def model() -> TorchModel:
    torch.manual_seed(0)
    return model_from_module(Pictures().eval(), pictures(2))


def interpreted(segment: Segment) -> CompiledRunner:
    """The segment as a compiling engine runs it, its slice run op by op instead."""
    assert isinstance(segment, TorchSegment)
    piece = slice_of(segment, "aot")
    return CompiledRunner(
        segment, piece, (lambda tensors: list(piece.module(*tensors))) if piece.outputs else None, 1.0
    )


@pytest.mark.parametrize("network", [Pictures, Sentences])
def test_every_cut_gives_the_bits_of_the_whole(network: type[torch.nn.Module]) -> None:
    inputs = pictures if network is Pictures else sentences
    whole = model_from_module(network().eval(), inputs(2))
    names = [op.name for op in whole.graph.ops]
    for count in range(len(names) + 1):
        segments = whole.split(names[:count])
        for batch in (1, 3):
            given = inputs(batch)
            made = interpreted(segments.suffix)(*interpreted(segments.prefix)(*given))
            assert all(map(torch.equal, made, whole(*given)))


def test_a_suffix_and_the_clouds_form_of_it_are_one_slice(model: TorchModel) -> None:
    names = [op.name for op in model.graph.ops]
    segments = model.split(names[: names.index("mean") + 1])
    assert segments.kept
    assert slice_of(segments.suffix, "aot") == slice_of(segments.cloud, "aot")


def test_a_segment_without_ops_has_nothing_to_compile(model: TorchModel) -> None:
    assert slice_of(model.split([]).prefix, "aot").outputs == ()


def test_what_is_no_torch_models_segment_is_refused_with_a_remedy() -> None:
    with pytest.raises(InvalidModel, match="onnxruntime"):
        slice_of(lambda x: (x,), "aot")


@pytest.mark.parametrize(
    "wrong", [torch.zeros(1, 4, 10, 10), torch.zeros(1, 3, 10), torch.zeros(1, 3, 10, 10).double()]
)
def test_a_wrong_shape_or_dtype_never_reaches_compiled_code(model: TorchModel, wrong: torch.Tensor) -> None:
    with pytest.raises(InvalidRequest, match="float32"):
        interpreted(model.whole)(wrong)


def test_compiled_code_gets_contiguous_tensors(model: TorchModel) -> None:
    piece = slice_of(model.whole, "aot")
    (given,) = pictures(2)
    (handed,) = piece.arguments({piece.inputs[0]: given.to(memory_format=torch.channels_last)})
    assert handed.is_contiguous()
    assert torch.equal(handed, given)


def test_slices_are_compared_by_what_they_compute(model: TorchModel) -> None:
    names = (model.graph.inputs, model.graph.outputs)
    assert CompiledSlice(model, "one", *names) != CompiledSlice(model, "other", *names)
