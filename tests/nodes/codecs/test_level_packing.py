"""Levels of three to eight bits as bytes: exact, the smallest form, and hostile bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.errors import InvalidRequest
from nodes.codecs.level_packing import pack_levels, unpack_levels

PACKED, ZSTD, SPARSE, RANGE = range(4)


@given(
    bits=st.sampled_from([3, 4, 5, 6, 8]),
    count=st.integers(0, 400),
    zeros=st.sampled_from([0.0, 0.5, 0.95, 1.0]),
    seed=st.integers(0, 99),
    coded=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_every_level_comes_back(bits: int, count: int, zeros: float, seed: int, coded: bool) -> None:
    source = np.random.default_rng(seed)
    levels = source.integers(0, 1 << bits, count, dtype=np.uint8) * (source.random(count) >= zeros)
    content = levels.astype(np.uint8).tobytes()
    assert unpack_levels("x", pack_levels(content, bits, range_coded=coded), bits, count) == content


@pytest.mark.parametrize("most", [65535, 65536, 65889, 65978, 300_001])
@pytest.mark.parametrize("common", [0, 3])
def test_levels_that_occur_more_often_than_a_count_holds_come_back(most: int, common: int) -> None:
    """65889 times 65535 / 65889 is more than 65535 in floats."""
    source = np.random.default_rng(0)
    others = source.choice([level for level in range(8) if level != common], most // 2)
    content = source.permutation(np.append(others, np.full(most, common))).astype(np.uint8).tobytes()
    packed = pack_levels(content, 3, range_coded=True)
    assert packed[0] == RANGE
    assert unpack_levels("x", packed, 3, len(content)) == content


@given(data=st.binary(max_size=300), bits=st.sampled_from([3, 4, 8]), count=st.integers(0, 200), form=st.integers(0, 4))
@settings(max_examples=200, deadline=None)
def test_garbage_is_refused_or_gives_that_many_levels(data: bytes, bits: int, count: int, form: int) -> None:
    try:
        levels = unpack_levels("x", bytes([form]) + data, bits, count)
    except InvalidRequest:
        return
    assert len(levels) == count
    assert not count or max(levels) < 1 << bits


def test_even_levels_are_packed_as_bits() -> None:
    levels = np.random.default_rng(0).integers(0, 8, 4000, dtype=np.uint8).tobytes()
    packed = pack_levels(levels, 3)
    assert (packed[0], len(packed)) == (PACKED, 1 + 1500)


def test_zeros_that_abound_are_kept_apart() -> None:
    source = np.random.default_rng(0)
    levels = (source.integers(0, 64, 8000) * (source.random(8000) < 0.1)).astype(np.uint8).tobytes()
    assert pack_levels(levels, 6)[0] == SPARSE


def test_uneven_levels_are_range_coded_where_asked() -> None:
    levels = np.minimum(np.random.default_rng(0).geometric(0.6, 8000), 15).astype(np.uint8).tobytes()
    assert pack_levels(levels, 4)[0] == ZSTD
    assert pack_levels(levels, 4, range_coded=True)[0] == RANGE


def test_levels_of_more_bits_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="more than 3 bits"):
        unpack_levels("x", pack_levels(bytes([200] * 50), 8), 3, 50)
