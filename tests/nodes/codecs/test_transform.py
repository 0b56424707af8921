"""The transform codec: error bounds, batches, dtypes, strides, and hostile tables and messages."""

from __future__ import annotations

import base64
import math
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import torch
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from isthmus.errors import InvalidInput, InvalidPlan, InvalidRequest
from nodes.codecs.base import EncodedTensor
from nodes.codecs.coefficient_grid import cosine_basis
from nodes.codecs.factory import codec
from nodes.codecs.transform import TransformCodec
from nodes.codecs.transform_table import CoderClass, TransformTable
from nodes.measure.transform_fit import TransformFit, fit_transform

STEP = 0.5


def activations(items: int, seed: int = 0) -> torch.Tensor:
    """float32 (items, 12, 6, 7): smooth, correlated across channels, of uneven energy."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(items, 12, 8, 9, generator=generator) * torch.logspace(0, 2, 12).view(12, 1, 1)
    mixed = torch.einsum("kc,nchw->nkhw", torch.randn(12, 12, generator=torch.Generator().manual_seed(7)), noise)
    return torch.nn.functional.avg_pool2d(mixed, 3, stride=1)


@pytest.fixture(scope="module")
def fit() -> TransformFit:
    return fit_transform(activations(40), torch.randn(40, 12, 6, 7, generator=torch.Generator().manual_seed(1)))


@pytest.fixture(scope="module")
def chosen(fit: TransformFit) -> TransformCodec:
    return TransformCodec({"table": fit.table(STEP).to_text()})


def round_trip(chosen: TransformCodec, tensor: torch.Tensor) -> torch.Tensor:
    return chosen.decode(chosen.encode("x", tensor))


def test_finer_steps_are_nearer_and_longer(fit: TransformFit) -> None:
    values, errors, sizes = activations(4, seed=3), [], []
    for step in (4.0, 1.0, 0.25):
        made = TransformCodec({"table": fit.table(step).to_text()})
        errors.append(float((round_trip(made, values) - values).square().mean()))
        sizes.append(len(made.encode("x", values).data))
    assert errors[0] > 8 * errors[1] > 64 * errors[2]
    assert sizes == sorted(sizes)


def test_no_coefficient_is_off_by_more_than_its_step(fit: TransformFit, chosen: TransformCodec) -> None:
    values = activations(8, seed=4)
    grid, table = chosen._grid, fit.table(STEP)
    off = (grid.coefficients(round_trip(chosen, values)) - grid.coefficients(values)).abs().amax()
    assert table.synthesis.shape == (12, 12)
    assert off <= 1.01


def test_fewer_bytes_than_six_bits_an_element(chosen: TransformCodec) -> None:
    values = activations(8, seed=5)
    assert len(chosen.encode("x", values).data) < 0.8 * len(codec("int6").encode("x", values).data)


def test_an_item_decodes_the_same_in_every_batch(chosen: TransformCodec) -> None:
    batch = activations(5, seed=6)
    alone = torch.cat([round_trip(chosen, item.unsqueeze(0)) for item in batch])
    assert torch.allclose(round_trip(chosen, batch), alone, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("scale", [0.0, 1e-3, 30.0, 1e5])
def test_values_unlike_the_calibration_still_come_back(chosen: TransformCodec, scale: float) -> None:
    values = activations(2, seed=8) * scale
    grid = chosen._grid
    off = (grid.coefficients(round_trip(chosen, values)) - grid.coefficients(values)).abs().amax()
    assert off <= 1.01 + 3e-4 * scale  # float32 holds seven digits


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e30])
def test_what_cannot_be_quantised_is_exact(chosen: TransformCodec, bad: float) -> None:
    values = activations(1)
    values[0, 3, 2, 1] = bad
    assert torch.equal(round_trip(chosen, values).view(torch.int32), values.view(torch.int32))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_keep_their_dtype(chosen: TransformCodec, dtype: torch.dtype) -> None:
    values = activations(1).to(dtype)
    assert round_trip(chosen, values).dtype == dtype


def test_channels_last_stays_channels_last(chosen: TransformCodec) -> None:
    values = activations(3).contiguous(memory_format=torch.channels_last)
    assert round_trip(chosen, values).stride() == values.stride()


def test_no_items_is_a_message_too(chosen: TransformCodec) -> None:
    assert round_trip(chosen, activations(3)[:0]).shape == (0, 12, 6, 7)


def test_tokens_are_rotated_and_not_transformed() -> None:
    tokens = torch.randn(30, 5, 16, generator=torch.Generator().manual_seed(0)) @ torch.randn(16, 16)
    table = fit_transform(tokens, torch.randn(30, 5, 16)).table(0.1)
    assert (table.channels_last, table.cosine, table.item_shape) == (True, False, (5, 16))
    decoded = round_trip(TransformCodec({"table": table.to_text()}), tokens)
    assert (decoded - tokens).square().mean() < 0.01 * tokens.square().mean()


def test_a_tensor_of_another_shape_is_refused_by_name(chosen: TransformCodec) -> None:
    with pytest.raises(InvalidRequest, match="feature"):
        chosen.encode("feature", torch.zeros(1, 12, 7, 6))


def test_parameters_do_not_travel_with_each_tensor(chosen: TransformCodec) -> None:
    assert not chosen.encode("x", activations(1)).parameters


def test_a_table_reads_back_equal(fit: TransformFit) -> None:
    text = fit.table(STEP).to_text()
    assert TransformTable.from_text(text).to_text() == text


def test_a_component_that_always_rounds_to_zero_is_left_out(fit: TransformFit) -> None:
    assert fit.table(100.0).synthesis.shape[1] < 12


def test_the_cosine_basis_is_orthonormal() -> None:
    assert torch.allclose(cosine_basis(14) @ cosine_basis(14).T, torch.eye(14), atol=1e-5)


@pytest.mark.parametrize("parameters", [{}, {"table": "", "step": "1"}, {"table": "#"}, {"table": "AAAA"}])
def test_parameters_that_are_no_table_are_refused(parameters: dict[str, str]) -> None:
    with pytest.raises(InvalidPlan):
        codec("transform", parameters)


@given(position=st.integers(0, 1 << 20), value=st.integers(0, 255), cut=st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_damaged_table_is_refused_or_still_one(position: int, value: int, cut: bool) -> None:
    content = bytearray(zstandard.ZstdDecompressor().decompress(base64.b64decode(SMALL_TABLE)))
    at = position % len(content)
    damaged = bytes(content[:at]) if cut else bytes(content[:at]) + bytes([value]) + bytes(content[at + 1 :])
    with suppress(InvalidPlan):
        made = codec("transform", {"table": base64.b64encode(zstandard.ZstdCompressor().compress(damaged)).decode()})
        assert made.name == "transform"


def test_a_table_with_more_after_its_end_is_refused() -> None:
    content = zstandard.ZstdDecompressor().decompress(base64.b64decode(SMALL_TABLE))
    longer = zstandard.ZstdCompressor().compress(content + b"\0")
    with pytest.raises(InvalidPlan, match="after its end"):
        codec("transform", {"table": base64.b64encode(longer).decode()})


SMALL_TABLE = fit_transform(activations(6), activations(6, seed=2)).table(20.0).to_text()


@given(data=st.binary(max_size=400), mode=st.integers(0, 2), words=st.integers(0, 99), items=st.integers(0, 3))
@example(data=bytes(4), mode=1, words=1, items=0)
@settings(max_examples=200, deadline=None)
def test_garbage_decodes_or_raises_invalid_request(data: bytes, mode: int, words: int, items: int) -> None:
    made = codec("transform", {"table": SMALL_TABLE})
    message = bytes([mode]) + words.to_bytes(4, "little") + data
    with suppress(InvalidRequest):
        decoded = made.decode(EncodedTensor("x", "float32", (items, 12, 6, 7), (), "transform", {}, message))
        assert decoded.shape == (items, 12, 6, 7)


@pytest.mark.parametrize(
    ("channels", "height", "width", "cosine"),
    [(4096, 1, 1, False), (1, 1, 65_535, True), (1, 1025, 1, True), (1, 257, 256, False), (1537, 1, 1, False)],
)
def test_a_table_that_would_take_minutes_or_gigabytes_is_refused(
    channels: int, height: int, width: int, cosine: bool
) -> None:
    with pytest.raises(InvalidPlan, match="header"):
        codec("transform", {"table": plain_table(channels, height, width, cosine=cosine).to_text()})


def test_the_largest_grids_are_still_read() -> None:
    for channels, height, width, cosine in (
        (1, 1024, 64, True),
        (1536, 1, 1, False),
        (1, 65_535, 1, False),
        (1, 256, 256, True),
    ):
        made = codec("transform", {"table": plain_table(channels, height, width, cosine=cosine).to_text()})
        assert made.name == "transform"


def plain_table(channels: int, height: int, width: int, *, cosine: bool) -> TransformTable:
    """One component, steps of 1."""
    one, flat = np.ones((height, width), np.float32), np.zeros((height, width), np.int64)
    synthesis, mean = np.ones((channels, 1), np.float32), np.zeros(channels, np.float32)
    classes = (CoderClass(0, 0, np.ones(2, np.uint16)),)
    return TransformTable(False, cosine, mean, synthesis, one, np.zeros(1, np.int64), flat, 0, 0, classes)


def test_what_follows_the_message_is_refused(chosen: TransformCodec) -> None:
    encoded = chosen.encode("x", activations(1))
    with pytest.raises(InvalidRequest):
        chosen.decode(replace(encoded, data=encoded.data + bytes(4)))


def test_more_than_the_limit_is_refused_before_it_is_made(chosen: TransformCodec) -> None:
    encoded = chosen.encode("x", activations(1))
    with pytest.raises(InvalidRequest, match="more than"):
        chosen.decode(replace(encoded, shape=(1 << 30, 12, 6, 7)), max_bytes=1 << 20)


def test_a_step_that_is_not_above_zero_is_refused(fit: TransformFit) -> None:
    with pytest.raises(InvalidInput, match="step"):
        fit.table(0.0)
