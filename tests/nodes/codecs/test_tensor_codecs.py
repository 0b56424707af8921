"""What every tensor codec keeps, on all dtypes, shapes and memory layouts, and on hostile bytes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
import torch
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isthmus.errors import InvalidPlan, InvalidRequest, IsthmusError, NotFound
from nodes.codecs.base import EncodedTensor
from nodes.codecs.dtypes import DTYPE_NAMES
from nodes.codecs.factory import CALIBRATED_CODEC_NAMES, CODEC_NAMES, codec
from nodes.codecs.layout import stride_order

LOSSLESS = ("raw", "zstd", "lz4")
ANY_TENSOR = tuple(name for name in CODEC_NAMES if name not in CALIBRATED_CODEC_NAMES)
DTYPES = [getattr(torch, name) for name in DTYPE_NAMES]
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def tensors(draw: st.DrawFn, dtypes: list[torch.dtype] = DTYPES) -> torch.Tensor:
    """Any dtype, 0 to 5 dimensions, empty ones too, in any dense stride order, sometimes sliced or expanded."""
    dtype = draw(st.sampled_from(dtypes))
    shape = draw(st.lists(st.integers(0, 5), max_size=5))
    order = draw(st.permutations(range(len(shape))))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 1000)))
    count = torch.Size(shape).numel() * dtype.itemsize
    data = torch.randint(0, 256, (count,), generator=generator, dtype=torch.uint8)
    flat = data % 2 != 0 if dtype == torch.bool else data.view(dtype)
    tensor = flat.reshape([shape[d] for d in order]).permute([order.index(d) for d in range(len(shape))])
    if not shape or draw(st.booleans()):
        return tensor
    expanded = tensor[..., :1].expand(*shape[:-1], 4) if shape[-1] else tensor
    return draw(st.sampled_from([tensor[..., ::2], expanded, tensor[1:]]))


def same_bits(left: torch.Tensor, right: torch.Tensor) -> bool:
    def bits(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.clone(memory_format=torch.contiguous_format).reshape(-1).view(torch.uint8)

    return left.dtype == right.dtype and left.shape == right.shape and torch.equal(bits(left), bits(right))


@pytest.mark.parametrize("name", LOSSLESS)
@given(tensor=tensors())
@QUICK
def test_lossless_codecs_return_every_bit(name: str, tensor: torch.Tensor) -> None:
    chosen = codec(name)
    assert same_bits(chosen.decode(chosen.encode("x", tensor)), tensor)


@pytest.mark.parametrize("name", ANY_TENSOR)
@given(tensor=tensors())
@QUICK
def test_what_arrived_in_pieces_decodes_to_the_same(name: str, tensor: torch.Tensor) -> None:
    chosen = codec(name)
    encoded = chosen.encode("x", tensor)
    pieces = replace(encoded, data=bytearray(encoded.data))
    assert same_bits(chosen.decode(pieces), chosen.decode(encoded))


@pytest.mark.parametrize("name", ANY_TENSOR)
@given(tensor=tensors())
@QUICK
def test_dense_tensors_keep_their_strides(name: str, tensor: torch.Tensor) -> None:
    dense = torch.empty_like(tensor, memory_format=torch.preserve_format).copy_(tensor)
    chosen = codec(name)
    decoded = chosen.decode(chosen.encode("x", dense))
    kept = [(a, b) for a, b, size in zip(decoded.stride(), dense.stride(), dense.shape, strict=True) if size > 1]
    assert dense.numel() == 0 or all(a == b for a, b in kept)


@pytest.mark.parametrize("name", ANY_TENSOR)
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 3, 4, 4), (2, 1, 4, 4), (1, 1, 1, 1), (1, 8, 1, 1)])
def test_channels_last_stays_channels_last(name: str, shape: tuple[int, ...]) -> None:
    tensor = torch.empty(shape, memory_format=torch.channels_last).normal_()
    decoded = codec(name).decode(codec(name).encode("x", tensor))
    assert decoded.is_contiguous(memory_format=torch.channels_last)
    assert decoded.stride() == tensor.stride()


def test_an_expanded_tensor_becomes_dense() -> None:
    expanded = torch.arange(4.0).expand(3, 4)
    decoded = codec("raw").decode(codec("raw").encode("x", expanded))
    assert decoded.stride() == (4, 1)
    assert torch.equal(decoded, expanded)


def test_a_size_one_dimension_lies_inside_the_one_that_shares_its_stride() -> None:
    assert stride_order(torch.empty(2, 1, 4, 4)) == (0, 1, 2, 3)
    assert stride_order(torch.empty(2, 3, 4, 4, memory_format=torch.channels_last)) == (0, 2, 3, 1)


def test_raw_decodes_without_a_copy() -> None:
    encoded = codec("raw").encode("x", torch.arange(8.0))
    first, second = codec("raw").decode(encoded), codec("raw").decode(encoded)
    assert first.data_ptr() == second.data_ptr()


def test_conjugated_views_are_resolved() -> None:
    tensor = torch.tensor([1 + 2j, 3 - 4j]).conj()
    assert torch.equal(codec("raw").decode(codec("raw").encode("x", tensor)), tensor)


def test_tensors_that_want_gradients_can_travel() -> None:
    tensor = torch.ones(3, requires_grad=True)
    assert not codec("raw").decode(codec("raw").encode("x", tensor)).requires_grad


def test_sparse_tensors_are_refused_by_name() -> None:
    with pytest.raises(InvalidRequest, match="feature"):
        codec("raw").encode("feature", torch.eye(3).to_sparse())


def test_zstd_is_smaller_on_activations() -> None:
    tensor = torch.relu(torch.randn(1, 32, 14, 14, generator=torch.Generator().manual_seed(0)))
    assert len(codec("zstd").encode("x", tensor).data) < 0.7 * tensor.nbytes


def test_byte_planes_are_used_where_they_pay_only() -> None:
    dense = torch.randn(1, 16, 28, 28, generator=torch.Generator().manual_seed(0)) * 0.01 + 1
    sparse = torch.nn.functional.threshold(dense, 1.015, 0.0)
    assert codec("zstd").encode("x", dense).data[0] == 1
    assert codec("zstd").encode("x", sparse).data[0] == 0


@pytest.mark.parametrize("name", ANY_TENSOR)
@given(
    data=st.binary(max_size=200),
    dtype=st.sampled_from([*DTYPE_NAMES, "float8", ""]),
    shape=st.lists(st.one_of(st.integers(-2, 5), st.sampled_from([2**31, 2**62, 2**70])), max_size=5),
    order=st.lists(st.integers(-1, 5), max_size=5),
)
@QUICK
def test_garbage_raises_nothing_but_our_errors(
    name: str, data: bytes, dtype: str, shape: list[int], order: list[int]
) -> None:
    try:
        decoded = codec(name).decode(EncodedTensor("x", dtype, tuple(shape), tuple(order), name, {}, data))
    except IsthmusError:
        return
    assert tuple(decoded.shape) == tuple(shape)


@pytest.mark.parametrize("name", ANY_TENSOR)
@given(position=st.integers(0, 10_000), value=st.integers(0, 255), cut=st.booleans())
@QUICK
def test_a_damaged_message_decodes_or_raises_invalid_request(name: str, position: int, value: int, cut: bool) -> None:
    encoded = codec(name).encode("x", torch.randn(2, 8, 6, 6, generator=torch.Generator().manual_seed(1)))
    at = position % len(encoded.data)
    damaged = encoded.data[:at] if cut else encoded.data[:at] + bytes([value]) + encoded.data[at + 1 :]
    with suppress(InvalidRequest):
        assert codec(name).decode(replace(encoded, data=damaged)).shape == (2, 8, 6, 6)


@pytest.mark.parametrize("name", ANY_TENSOR)
def test_a_tensor_above_the_limit_is_refused_before_it_is_made(name: str) -> None:
    encoded = replace(codec(name).encode("x", torch.zeros(4)), shape=(1 << 20, 1 << 20), stride_order=())
    with pytest.raises(InvalidRequest, match="more than 1000 bytes"):
        codec(name).decode(encoded, max_bytes=1000)


@pytest.mark.parametrize("name", ANY_TENSOR)
def test_a_zero_does_not_hide_a_huge_dimension(name: str) -> None:
    with pytest.raises(InvalidRequest):
        codec(name).decode(EncodedTensor("x", "float32", (0, 1 << 62, 1 << 62), (), name, {}, b""))


def test_a_zstd_bomb_is_refused() -> None:
    bomb = b"\0" + zstandard.ZstdCompressor().compress(bytes(10_000_000))
    with pytest.raises(InvalidRequest, match="must hold 16 bytes"):
        codec("zstd").decode(EncodedTensor("x", "float32", (4,), (0,), "zstd", {}, bomb))


def test_a_zstd_frame_without_a_size_is_refused() -> None:
    frame = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(16))
    with pytest.raises(InvalidRequest):
        codec("zstd").decode(EncodedTensor("x", "float32", (4,), (0,), "zstd", {}, b"\0" + frame))


def test_bytes_after_the_frame_are_refused() -> None:
    encoded = codec("zstd").encode("x", torch.zeros(4))
    with pytest.raises(InvalidRequest):
        codec("zstd").decode(replace(encoded, data=encoded.data + b"more"))


def test_bool_bytes_other_than_zero_and_one_become_true() -> None:
    decoded = codec("raw").decode(EncodedTensor("x", "bool", (3,), (), "raw", {}, b"\0\x01\x05"))
    assert decoded.view(torch.uint8).tolist() == [0, 1, 1]


def test_an_unknown_codec_names_the_known_ones() -> None:
    with pytest.raises(NotFound, match="raw, zstd, lz4, int8"):
        codec("gzip")


def test_an_image_codec_is_no_tensor_codec() -> None:
    with pytest.raises(InvalidPlan, match="image_codec"):
        codec("png")


def test_unknown_parameters_are_refused() -> None:
    with pytest.raises(InvalidPlan, match="level"):
        codec("zstd", {"level": "3"})


def test_an_empty_tensor_in_planes_is_empty() -> None:
    made = codec("zstd").encode("x", torch.zeros(0, 3))
    assert codec("zstd").decode(replace(made, data=b"\1" + made.data[1:])).shape == (0, 3)
