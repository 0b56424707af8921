"""What errors say of hostile values."""

from __future__ import annotations

from isthmus.errors import InvalidInput


def test_a_value_nested_deeper_than_text_goes_is_still_refused_in_words() -> None:
    value: object = 0
    for _ in range(100_000):
        value = [value]
    assert str(InvalidInput("field", "is wrong", value=value)).startswith("field: is wrong (got a list nested")
