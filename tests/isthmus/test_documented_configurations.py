"""Every configuration that the documentation shows is one that is read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from isthmus.configuration import Configuration, read_configuration

ROOT = Path(__file__).parents[2]
KEYS = Configuration.model_fields.keys()
SCENARIO = "edges"  # a key that every scenario has and no configuration


def blocks(page: Path) -> Iterator[tuple[int, str]]:
    """What stands in a page as YAML, each with the line where it begins."""
    text = page.read_text()
    for found in re.finditer(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield text.count("\n", 0, found.start(1)) + 1, found[1]


def alternatives(block: str) -> Iterator[str]:
    """The block, in pieces where a key comes again at its margin: each shows another way to write it."""
    piece, seen = "", set[str]()
    for line in block.splitlines(keepends=True):
        key = line.partition(":")[0]
        if key in seen:
            yield piece
            piece, seen = "", set()
        seen |= {key} & KEYS
        piece += line
    yield piece


def documented() -> Iterator[object]:
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for line, block in blocks(page):
            for number, piece in enumerate(alternatives(block)):
                keys = yaml.safe_load(piece).keys()
                if keys & KEYS and SCENARIO not in keys:
                    yield pytest.param(piece, id=f"{page.name}:{line}.{number}")


DOCUMENTED = list(documented())


def test_there_are_some() -> None:
    assert len(DOCUMENTED) > 15


@pytest.mark.parametrize("text", DOCUMENTED)
def test_it_is_read(tmp_path: Path, text: str) -> None:
    named = yaml.safe_load(text)
    file = tmp_path / "isthmus.yaml"
    file.write_text(yaml.safe_dump({"models": [{"name": "m", "source": "a:b"}], **named}))
    read_configuration(file)
