"""Where a command without TLS may listen."""

from __future__ import annotations

import pytest

from isthmus.cli.listen_options import listen_address
from isthmus.errors import InvalidConfiguration


@pytest.mark.parametrize("text", ["127.0.0.1:8200", "localhost:0", "[::1]:8200"])
def test_on_this_machine_it_listens_without_a_word(text: str) -> None:
    assert listen_address(text, "--listen", insecure=False) == listen_address(text, "--listen", insecure=True)


@pytest.mark.parametrize("text", ["0.0.0.0:8200", "[::]:8200", "10.0.0.7:8200", "edge.example:8200"])
def test_beyond_it_only_where_told(text: str) -> None:
    with pytest.raises(InvalidConfiguration, match=r"--listen: is reached from other machines.*add --insecure"):
        listen_address(text, "--listen", insecure=False)
    assert listen_address(text, "--listen", insecure=True)[1] == 8200


def test_what_is_no_address_is_refused_either_way() -> None:
    for insecure in (False, True):
        with pytest.raises(InvalidConfiguration, match="--listen"):
            listen_address("nowhere", "--listen", insecure=insecure)
