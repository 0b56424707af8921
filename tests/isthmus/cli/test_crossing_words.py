"""What crosses, in the width of a column."""

from __future__ import annotations

import pytest

from isthmus.cli.crossing_words import crossing_words
from partitioner.plan import TensorCodec

_DEEP = "/features/features.14/conv/conv.0/Add_output_0"


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ([], "nothing"),
        ([TensorCodec("relu_3", "int8", bytes=9)], "relu_3 int8"),
        ([TensorCodec("small", "raw", bytes=1), TensorCodec("big", "raw", bytes=9)], "big +1 raw"),
        ([TensorCodec("big", "int8", bytes=9), TensorCodec("small", "raw", bytes=1)], "big +1 int8/raw"),
        ([TensorCodec(_DEEP, "int8", bytes=9)], "…dd_output_0 int8"),
    ],
)
def test_tensors_and_codecs_are_named(tensors: list[TensorCodec], said: str) -> None:
    assert crossing_words(tensors, 17) == said


@pytest.mark.parametrize("width", [16, 20])
def test_the_width_is_kept(width: int) -> None:
    one = TensorCodec(_DEEP, "transform", bytes=9)
    others = [TensorCodec(f"skip_{i}", codec, bytes=1) for i, codec in enumerate(["int8", "zstd", "raw"])]
    said = [crossing_words(tensors, width) for tensors in ([one], others, [one, *others])]
    assert max(map(len, said)) <= width
    assert said[0].endswith("ut_0 transform")
    assert said[1].startswith("skip_0 +2 int8")
    assert "t_0 +3 trans" in said[2]
