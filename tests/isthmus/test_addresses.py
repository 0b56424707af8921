"""Addresses as people write them."""

from __future__ import annotations

import pytest

from isthmus.addresses import format_address, parse_address
from isthmus.errors import InvalidConfiguration


@pytest.mark.parametrize("address", [("127.0.0.1", 8001), ("edge.example", 0), ("::1", 65535)])
def test_the_text_form_reads_back(address: tuple[str, int]) -> None:
    assert parse_address(format_address(*address)) == address


@pytest.mark.parametrize(
    "text", ["", "8001", ":8001", "host:", "host:x", "host:65536", "host:-1", "::1:80", "a b:1", "[]:1", "http://a:1"]
)
def test_what_is_not_an_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidConfiguration, match="--listen"):
        parse_address(text, "--listen")
