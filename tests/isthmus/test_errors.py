"""What errors say of hostile values."""

from __future__ import annotations

import pickle

from isthmus.errors import InvalidInput
from partitioner.constrained_choice import NothingInTime


def test_a_value_nested_deeper_than_text_goes_is_still_refused_in_words() -> None:
    value: object = 0
    for _ in range(100_000):
        value = [value]
    assert str(InvalidInput("field", "is wrong", value=value)).startswith("field: is wrong (got a list nested")


def test_a_search_out_of_time_crosses_processes() -> None:
    assert str(pickle.loads(pickle.dumps(NothingInTime()))) == str(NothingInTime())
