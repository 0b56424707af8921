"""A file that is there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from isthmus.whole_file import whole_file


def test_it_takes_the_place_of_what_was_there_at_the_end(tmp_path: Path) -> None:
    path, unfinished = tmp_path / "file", tmp_path / "file.part"
    path.write_text("before")
    with whole_file(path, unfinished) as given:
        given.write_text("now")
        assert path.read_text() == "before"
    assert path.read_text() == "now"
    assert not unfinished.exists()


@pytest.mark.parametrize("kind", [OSError, KeyboardInterrupt])
def test_what_was_there_stays_where_writing_ends_early(tmp_path: Path, kind: type[BaseException]) -> None:
    path, unfinished = tmp_path / "file", tmp_path / "file.part"
    path.write_text("before")

    def write() -> None:
        with whole_file(path, unfinished) as given:
            given.write_text("half")
            raise kind

    with pytest.raises(kind):
        write()
    assert path.read_text() == "before"
    assert not unfinished.exists()
