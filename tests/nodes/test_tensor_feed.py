"""Tensors on their way from the worker to the stream."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nodes.codecs.base import EncodedTensor
from nodes.tensor_feed import TensorFeed
from tests.nodes.protocol.test_streams import tensor


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))
def test_a_follower_gets_each_tensor_that_it_has_not_once_and_in_order(have: int, meanwhile: int, later: int) -> None:
    made = [tensor(1, f"x{number}") for number in range(have + meanwhile + later)]
    feed, heard = TensorFeed(len(made)), list[EncodedTensor]()
    feed.put(made[: have + meanwhile])
    feed.follow(heard.extend, have)
    for one in made[have + meanwhile :]:
        feed.put((one,))
    assert (heard, feed.to_come) == (made[have:], 0)


def test_who_has_left_hears_nothing() -> None:
    feed, heard = TensorFeed(1), list[EncodedTensor]()
    feed.follow(heard.extend, 0)
    feed.leave()
    feed.put((tensor(1),))
    assert (heard, feed.tensors) == ([], (tensor(1),))
