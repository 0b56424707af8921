"""The built-in models: real weights, real photos, bit-equal when cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from isthmus import zoo
from nodes.preprocessing import ImageBatch, preprocess
from partitioner.front_end import model_from_module
from partitioner.model import Model
from partitioner.spec import ModelSpec
from partitioner.torchscript import load_script

EXPECTED = {
    "chelsea": {"tiger cat", "tabby", "Egyptian cat"},
    "coffee": {"espresso"},
    "rocket": {"missile"},
    "flower": {"daisy"},
}
BATCHES = (1, 2, 3, 7)


@pytest.fixture(scope="module")
def efficientnet() -> tuple[nn.Module, Model]:
    spec = zoo.efficientnet_lite0()
    return spec.module, model_from_module(spec)


@pytest.fixture(scope="module")
def minilm() -> tuple[nn.Module, Model]:
    spec = zoo.minilm()
    return spec.module, model_from_module(spec)


def pictures(batch: int) -> tuple[Tensor, ...]:
    return (torch.randn(batch, 3, 224, 224, generator=torch.Generator().manual_seed(batch)),)


def sentences(batch: int) -> tuple[Tensor, ...]:
    ids = torch.randint(1000, 20_000, (batch, 64), generator=torch.Generator().manual_seed(batch))
    return ids, (torch.arange(64)[None] < torch.arange(5, 5 + batch)[:, None]).long()


def sounds(batch: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(batch)
    return torch.randn(batch, 576, generator=generator) / 10, torch.randn(batch, 2, 128, generator=generator)


def check_cuts(
    module: Callable[..., Any], model: Model, cuts: Iterable[int], runs: Iterable[tuple[Tensor, ...]]
) -> None:
    """Every cut after so many ops gives the module's bits on every input."""
    ops = [op.name for op in model.graph.ops]
    with torch.inference_mode():
        wanted = [(inputs, module(*inputs)) for inputs in runs]
        for count in cuts:
            segments = model.split(ops[:count])
            for inputs, expected in wanted:
                found = segments.suffix(*(t.clone() for t in segments.prefix(*inputs)))
                whole = expected if isinstance(expected, tuple) else (expected,)
                assert all(map(torch.equal, found, whole)), f"cut after {count} ops, batch {len(inputs[0])}"


def every_fourth(model: Model, first: int) -> range:
    """Cuts, counted in ops before them. Neighbours take another batch each: all at all batches takes 5 minutes."""
    return range(first, len(model.graph.ops) + 1, len(BATCHES))


def test_efficientnet_cut_in_places_gives_its_own_bits(efficientnet: tuple[nn.Module, Model]) -> None:
    check_cuts(*efficientnet, (0, 1, 50, 101, 161), [pictures(1), pictures(3)])


def test_efficientnet_cut_on_channels_last_gives_its_own_bits(efficientnet: tuple[nn.Module, Model]) -> None:
    (picture,) = pictures(2)
    check_cuts(*efficientnet, (40, 120), [(picture.contiguous(memory_format=torch.channels_last),)])


def test_minilm_cut_in_places_gives_its_own_bits(minilm: tuple[nn.Module, Model]) -> None:
    check_cuts(*minilm, (0, 7, 40, 90, 158), [sentences(1), sentences(3)])


def test_silero_cut_anywhere_gives_its_own_bits() -> None:
    # The oracle is the TorchScript network itself, not what was traced of it.
    path = next(zoo._installed((("silero_vad", "data/silero_vad.jit"),)))
    network, model = load_script(path)._model, model_from_module(zoo.silero_vad())

    def step(audio: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        speech, following = network(audio, state.transpose(0, 1))
        return speech, following.transpose(0, 1)

    check_cuts(step, model, range(len(model.graph.ops) + 1), map(sounds, BATCHES))


@pytest.mark.slow
def test_efficientnet_cut_anywhere_gives_its_own_bits(efficientnet: tuple[nn.Module, Model]) -> None:
    layouts = (torch.contiguous_format, torch.channels_last)
    for first, batch in enumerate(BATCHES):
        runs = [tuple(t.contiguous(memory_format=layout) for t in pictures(batch)) for layout in layouts]
        check_cuts(*efficientnet, every_fourth(efficientnet[1], first), runs)


@pytest.mark.slow
def test_minilm_cut_anywhere_gives_its_own_bits(minilm: tuple[nn.Module, Model]) -> None:
    for first, batch in enumerate(BATCHES):
        check_cuts(*minilm, every_fourth(minilm[1], first), [sentences(batch)])


def test_demo_photos_are_of_the_right_classes(efficientnet: tuple[nn.Module, Model]) -> None:
    _, model = efficientnet
    preprocessing, labels = model.interface.inputs[0].preprocessing, model.interface.outputs[0].labels
    assert preprocessing is not None
    for photo in zoo.demo_photos():
        batch = preprocess(ImageBatch((photo.read_bytes(),)), preprocessing, "image")
        with torch.inference_mode():
            best = int(model(batch)[0].argmax())
        assert labels[best] in EXPECTED[photo.stem]


def test_efficientnet_has_the_published_cost(efficientnet: tuple[nn.Module, Model]) -> None:
    convolutions = sum(op.flops for op in efficientnet[1].graph.ops if op.kind in ("conv2d", "linear"))
    assert convolutions == pytest.approx(770.4e6, rel=1e-3)


def test_an_embedding_has_length_one(minilm: tuple[nn.Module, Model]) -> None:
    (embedding,) = minilm[1](*sentences(2))
    assert embedding.shape == (2, 384)
    assert torch.allclose(embedding.norm(dim=1), torch.ones(2))


def test_calibration_and_demo_have_no_photo_in_common() -> None:
    assert len(zoo.demo_photos()) == 4
    assert len(zoo.calibration_photos()) == 6
    assert not set(zoo.demo_photos()) & set(zoo.calibration_photos())


def test_calibration_equals_what_a_node_makes_of_the_file(efficientnet: tuple[nn.Module, Model]) -> None:
    _, model = efficientnet
    preprocessing = model.interface.inputs[0].preprocessing
    assert preprocessing is not None
    photo = zoo.calibration_photos()[0]
    centre = preprocess(ImageBatch((photo.read_bytes(),)), preprocessing, "image")
    assert model.calibration[0].shape == (30, 3, 224, 224)
    assert torch.allclose(model.calibration[0][0], centre[0], atol=1e-5)


def test_there_are_a_thousand_classes() -> None:
    assert len(zoo.imagenet_classes()) == 1000


def test_a_factory_names_inputs_and_outputs() -> None:
    spec: ModelSpec = zoo.efficientnet_lite0()
    assert (spec.name, spec.input_names, spec.output_names) == ("efficientnet-lite0", ("image",), ("logits",))
