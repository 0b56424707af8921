"""Tensors that are encoded in pieces."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nodes.codecs.base import EncodedTensor, PiecewiseCodec
from nodes.codecs.dtypes import DTYPE_NAMES, dtype_named
from nodes.codecs.factory import codec
from nodes.codecs.pieces import LEAST_BYTES, PIECES, joined, piece_ends, pieces_of

PIECEWISE = ("zstd",)


def piecewise(name: str) -> PiecewiseCodec:
    found = codec(name)
    assert isinstance(found, PiecewiseCodec)
    return found


@given(st.integers(0, 10**7), st.integers(1, 20))
def test_pieces_lie_one_after_the_other_and_are_all(size: int, count: int) -> None:
    ends = list(piece_ends(size, count))
    assert len(ends) == count
    assert [0, *(end for _, end in ends)] == [*(first for first, _ in ends), size]


@given(
    st.sampled_from(PIECEWISE),
    st.sampled_from(DTYPE_NAMES),
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.integers(1, 9),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_joined_they_are_the_tensor(
    name: str, dtype: str, shape: list[int], count: int, turned: bool, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    wide = torch.randint(0, 2 if dtype == "bool" else 256, (*shape, dtype_named(dtype).itemsize), generator=generator)
    tensor = wide.to(torch.uint8).view(dtype_named(dtype)).reshape(shape)
    tensor = tensor.transpose(0, -1) if turned else tensor
    made = list(piecewise(name).encode_pieces("x", tensor, count))
    assert [piece.continues for piece in made] == [False] + [True] * (count - 1)
    (whole,) = joined(made)
    back = codec(name).decode(whole)
    assert (back.stride(), back.dtype) == (torch.empty_like(tensor).stride(), tensor.dtype)
    assert back.contiguous().view(torch.uint8).equal(tensor.contiguous().view(torch.uint8))


@pytest.mark.parametrize("name", PIECEWISE)
@pytest.mark.parametrize("values", ["dense", "sparse"])  # in planes, and not
def test_a_piece_is_made_when_it_is_asked_for_and_costs_no_bytes(name: str, values: str) -> None:
    tensor = torch.randn(2, 1024, 1024, generator=torch.Generator().manual_seed(0))
    tensor = torch.relu(tensor - 1.5) if values == "sparse" else tensor
    whole, pieces = codec(name).encode("x", tensor), piecewise(name).encode_pieces("x", tensor, PIECES)
    first = next(pieces)
    assert 0 < len(first.data) < len(whole.data) / 4
    (made,) = joined((first, *pieces))
    assert made.data[:1] == whole.data[:1]
    assert len(made.data) == pytest.approx(len(whole.data), rel=0.002)


def test_nothing_in_pieces_is_nothing() -> None:
    for name in PIECEWISE:
        (whole,) = joined(piecewise(name).encode_pieces("x", torch.empty(0, 3), 4))
        assert codec(name).decode(whole).shape == (0, 3)


def test_small_tensors_are_whole() -> None:
    assert [pieces_of(size) for size in (0, LEAST_BYTES - 1, LEAST_BYTES)] == [1, 1, PIECES]


def test_whole_tensors_stay_as_they_are() -> None:
    tensors = tuple(EncodedTensor(name, "uint8", (1,), (), "raw", {}, b"x") for name in "ab")
    assert joined(tensors) == tensors
    assert all(one is other for one, other in zip(joined(tensors), tensors, strict=True))
