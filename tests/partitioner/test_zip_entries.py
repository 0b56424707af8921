"""Model files that are archives: damaged, hostile and sound ones."""

from __future__ import annotations

import re
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from isthmus.errors import InvalidModel
from partitioner.torchscript_scan import is_torchscript
from partitioner.zip_entries import check_names, read_entries

REMEDY = "save it again"
CODE = "m/code/a.py"
TEXT = b"def forward(self, x):\n  return x\n" * 50
LOCAL, CENTRAL = b"PK\3\4", b"PK\1\2"


def all_of(infos: Sequence[zipfile.ZipInfo]) -> Sequence[zipfile.ZipInfo]:
    return infos


def written(path: Path, entries: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def with_bytes(path: Path, header: bytes, offset: int, content: bytes) -> None:
    """Overwrite so much after the last such header's beginning."""
    data = bytearray(path.read_bytes())
    at = data.rindex(header) + offset
    data[at : at + len(content)] = content
    path.write_bytes(data)


def no_text(path: Path) -> None:
    with_bytes(path, CENTRAL, 8, (1 << 11).to_bytes(2, "little"))  # the flag that says that names are UTF-8
    with_bytes(path, CENTRAL, 46, b"\xff")


def of_a_later_version(path: Path) -> None:
    with_bytes(path, CENTRAL, 6, b"\xff")


def compressed_in_an_unknown_way(path: Path) -> None:
    with_bytes(path, CENTRAL, 10, (77).to_bytes(2, "little"))


def with_a_password(path: Path) -> None:
    with_bytes(path, CENTRAL, 8, b"\1")


def without_deflated_data(path: Path) -> None:
    with_bytes(path, LOCAL, 30 + len(CODE), b"\xff" * 8)


def with_another_checksum(path: Path) -> None:
    with_bytes(path, CENTRAL, 16, b"\0\0\0\0")


def said_to_be_longer(path: Path) -> None:
    with_bytes(path, CENTRAL, 24, (len(TEXT) + 1).to_bytes(4, "little"))


def elsewhere(path: Path) -> None:
    with_bytes(path, CENTRAL, 42, b"\xff\xff\xff\x7f")


UNREADABLE = (no_text, of_a_later_version)
DAMAGES = (
    *UNREADABLE, compressed_in_an_unknown_way, with_a_password, without_deflated_data, with_another_checksum,
    said_to_be_longer, elsewhere,
)  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_archive_is_refused_by_name(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = written(tmp_path / "model.pt", {CODE: TEXT})
    damage(path)
    with pytest.raises(InvalidModel, match=r"model\.pt: is not a model file.*; save it again"):
        read_entries(path, all_of, REMEDY)


@pytest.mark.parametrize("damage", UNREADABLE, ids=lambda damage: damage.__name__)
def test_an_archive_that_cannot_be_opened_is_no_torchscript(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = written(tmp_path / "model.pt", {CODE: TEXT})
    assert is_torchscript(path)
    damage(path)
    assert not is_torchscript(path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_is_compressed_without_a_bound_is_refused(tmp_path: Path, compression: int) -> None:
    path = written(tmp_path / "model.pt", {CODE: TEXT}, compression)
    with pytest.raises(InvalidModel, match="compressed in another way"):
        read_entries(path, all_of, REMEDY)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_sound_archive_is_read_whole(tmp_path: Path, compression: int) -> None:
    entries = {CODE: TEXT, "m/empty": b"", "m/data/0": bytes(1 << 20)}
    path = written(tmp_path / "model.pt", entries, compression)
    assert read_entries(path, all_of, REMEDY) == entries


def peak_bytes(path: Path) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(InvalidModel):
            read_entries(path, all_of, REMEDY)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_an_archive_that_holds_far_more_than_its_length_is_refused_unread(tmp_path: Path) -> None:
    path = written(tmp_path / "model.pt", {f"m/data/{number}": bytes(8 << 20) for number in range(3)})
    with pytest.raises(InvalidModel, match=r"is too large: it says that it holds 25165824 bytes"):
        read_entries(path, all_of, REMEDY)
    assert peak_bytes(path) < 1 << 20


def test_an_entry_is_inflated_no_further_than_it_says(tmp_path: Path) -> None:
    path = written(tmp_path / "model.pt", {"m/data/0": bytes(24 << 20)})
    with_bytes(path, CENTRAL, 24, (100).to_bytes(4, "little"))
    assert peak_bytes(path) < 1 << 20


def test_names_are_looked_at_before_anything_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "model.pt", {"m/data.so": TEXT})

    def checked(infos: Sequence[zipfile.ZipInfo]) -> Sequence[zipfile.ZipInfo]:
        check_names(path, infos, re.compile(r"code/\w+\.py\Z"), REMEDY)
        return infos

    with pytest.raises(InvalidModel, match=r"'m/data\.so', which is no plain data"):
        read_entries(path, checked, REMEDY)
