"""What coding a real tensor takes, over what a device's rates say."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch

from nodes.codecs.base import DEFAULT_MAX_BYTES, EncodedTensor
from nodes.codecs.factory import codec
from nodes.codecs.lossy_image import LossyPictureCodec
from nodes.codecs.raw import RawCodec
from nodes.measure.calibration_items import CalibrationRuns
from nodes.measure.codec_effort import codec_effort, size_with_effort
from nodes.measure.codec_sizes import MeasuredCodec, measured_codec
from nodes.measure.picture_codecs import through_pictures
from nodes.preprocessing import ImageBatch, pictures
from partitioner.codec_choice import AS_RATED
from partitioner.spec import ImagePreprocessing
from partitioner.torch_model import TorchModel

SPIN_S = 0.002
HOW = ImagePreprocessing(224, 224, 256)
PICTURE_BYTES = 4 * 3 * 224 * 224


class Spinning(RawCodec):
    """Takes a while to encode, and twice that to decode; knows how many threads it had."""

    name = "spinning"
    parameters: Mapping[str, str] = {}
    threads = 0

    def encode(self, name: str, tensor: torch.Tensor) -> EncodedTensor:
        self.threads = max(self.threads, torch.get_num_threads())
        _spin(SPIN_S)
        return super().encode(name, tensor)

    def decode(self, encoded: EncodedTensor, max_bytes: int = DEFAULT_MAX_BYTES) -> torch.Tensor:
        _spin(2 * SPIN_S)
        return super().decode(encoded, max_bytes)


def _spin(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def taking(encode_s: float, decode_s: float, name: str = "int8") -> MeasuredCodec:
    """int8 on a tensor of 20 kB, as somebody measured it."""
    return MeasuredCodec("t", codec(name), np.array([5000]), None, 20_000, encode_s, decode_s)


def test_a_codec_is_timed_on_the_items_that_it_is_measured_on(small_model: TorchModel) -> None:
    items = CalibrationRuns(small_model).at([small_model.graph.ops[0].name])
    made, before = Spinning(), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found = measured_codec(items, items.segments.boundary[0], made)
        assert (made.threads, torch.get_num_threads()) == (1, 2)
    finally:
        torch.set_num_threads(before)
    assert SPIN_S <= found.encode_s < 2 * SPIN_S <= found.decode_s


def test_effort_is_in_proportion_to_what_it_took() -> None:
    once, twice = codec_effort(taking(1e-3, 2e-3)), codec_effort(taking(2e-3, 4e-3))
    assert (twice.encode, twice.decode) == pytest.approx((2 * once.encode, 2 * once.decode))


def test_effort_is_told_with_the_size() -> None:
    measured = taking(1e-3, 2e-3)
    size = size_with_effort(measured)
    assert size.effort == codec_effort(measured)
    assert "of a sample's time" in size.provenance
    assert replace(size, effort=AS_RATED, provenance=measured.size.provenance) == measured.size


def test_a_codec_without_a_rate_takes_what_it_takes() -> None:
    unrated = replace(taking(1e-3, 2e-3), codec=Spinning())
    assert size_with_effort(unrated) == unrated.size


def test_a_higher_quality_than_the_rate_is_of_takes_longer(photos: dict[str, bytes]) -> None:
    batch = pictures(ImageBatch(tuple(photos.values())), HOW)

    def effort(quality: str) -> float:
        made = LossyPictureCodec("jpeg", HOW, {"quality": quality})
        found = through_pictures("image", batch, made)
        taken = (found.encode_s, found.decode_s)
        return codec_effort(MeasuredCodec("image", made, found.sizes, None, PICTURE_BYTES, *taken), HOW).encode

    assert effort("100") > 1.2 * effort("75")
