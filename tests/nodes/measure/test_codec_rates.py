"""Codec rates: one for every codec, and images priced by the pixel."""

from __future__ import annotations

import pytest

from nodes.codecs.factory import CODEC_NAMES, IMAGE_CODEC_NAMES, LOSSY_IMAGE_CODEC_NAMES
from nodes.measure.codec_rates import measure_codec_rates, measure_preprocessing, sample_activation
from partitioner.measurements import Measurement


def test_every_codec_has_a_rate() -> None:
    rates = measure_codec_rates(0.0)
    assert set(rates) == {*CODEC_NAMES, *IMAGE_CODEC_NAMES, *LOSSY_IMAGE_CODEC_NAMES}
    assert all(rate.encode_s(100_000) > 0 and rate.decode_s(600_000) > 0 for rate in rates.values())


def test_only_the_codecs_asked_for_are_timed() -> None:
    assert list(measure_codec_rates(0.0, ("raw", "file", "jpeg"))) == ["raw", "file", "jpeg"]


def test_how_far_repeats_were_apart_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The most of the sizes, and whatever the device's pace."""
    made = iter([Measurement(1.0, spread, 3) for spread in (0.1, 0.2, 0.3, 0.05)])
    monkeypatch.setattr("nodes.measure.codec_rates.measure", lambda *_, **__: next(made))
    rate = measure_codec_rates(0.0, ("zstd",))["zstd"].scaled(2.0)
    assert (rate.encode_spread, rate.decode_spread) == (0.3, 0.2)


def test_raw_encodes_faster_than_png() -> None:
    rates = measure_codec_rates(0.0)
    assert rates["raw"].encode_s(602_112) < rates["png"].encode_s(602_112)


def test_larger_files_take_longer_to_preprocess() -> None:
    line = measure_preprocessing(0.05)
    assert 0 < line.at(100_000) < line.at(10_000_000)


def test_sample_activations_are_half_zero_as_after_a_relu() -> None:
    assert 0.3 < (sample_activation(8, 14) == 0).float().mean() < 0.7
