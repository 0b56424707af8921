"""Files and folders that cannot be written are refused before the work, and asking leaves nothing behind."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from isthmus.cli.main import main
from isthmus.cli.output_file import check_folder, check_output
from isthmus.errors import InvalidInput


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere/device.json", r"^-o: is in a folder that is not there .*; make the folder first"),
        ("taken/device.json", r"^-o: is in a folder that is not there"),
        (".", r"^-o: is a folder .*; name a file"),
        ("x" * 300, r"^-o: cannot be written: File name too long .*; name a file that you may write"),
        (
            "/proc/device.json",
            r"^-o: cannot be written: .* \(got '/proc/device.json'\); name a file that you may write",
        ),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_with_its_option(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "taken").write_text("kept")
    with pytest.raises(InvalidInput, match=said):
        check_output(tmp_path / name, "-o")
    assert [one.name for one in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("taken", r"^-o: is a file .*; name a folder"),
        ("taken/made/here", r"^-o: would lie in a file, .*taken \(got .*; name a folder"),
        ("x" * 300 + "/made", r"^-o: cannot be written: File name too long .*; name a folder that you may write"),
        ("/proc/made/here", r"^-o: cannot be written: .* \(got '/proc/made/here'\); name a folder that you may write"),
    ],
)
def test_a_folder_that_cannot_be_written_is_refused_with_its_option(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "taken").write_text("kept")
    with pytest.raises(InvalidInput, match=said):
        check_folder(tmp_path / name, "-o")
    assert [one.name for one in tmp_path.iterdir()] == ["taken"]


def test_what_one_may_not_write_is_refused(tmp_path: Path) -> None:
    theirs, locked = tmp_path / "theirs.json", tmp_path / "locked"
    theirs.touch(0o400)
    locked.mkdir(0o500)
    if os.access(locked, os.W_OK):
        pytest.skip("root may write everywhere")
    for path in (theirs, locked / "device.json"):
        with pytest.raises(InvalidInput, match="cannot be written: Permission denied"):
            check_output(path, "-o")
    with pytest.raises(InvalidInput, match="cannot be written: Permission denied"):
        check_folder(locked / "made", "-o")


def test_what_can_be_written_is_as_it_was(tmp_path: Path) -> None:
    known, link, pipe = tmp_path / "known.json", tmp_path / "link.json", tmp_path / "pipe"
    known.write_text("kept")
    link.symlink_to(tmp_path / "later.json")
    os.mkfifo(pipe)
    for path in (known, link, pipe, tmp_path / "new.json", None):
        check_output(path, "-o")
    for folder in (tmp_path, tmp_path / "made" / "here"):
        check_folder(folder, "-o")
    assert known.read_text() == "kept"
    assert {one.name for one in tmp_path.iterdir()} == {"known.json", "link.json", "pipe"}


@pytest.mark.parametrize(
    "words",
    [
        ("profile", "no.such:model", "--output", "/proc/device.json"),
        ("import", "no.such:model", "--output", "/proc/artifact"),
        ("simulate", "none.yaml", "--output", "/proc/runs"),
        ("capacity", "none.yaml", "--picture", "/proc/fleets.svg"),
        ("demo", "--runtime", "process", "-o", "/proc/demo"),
        *(
            ("partition", "no.such:model", "--edge", "e.json", "--cloud", "c.json", option, "/proc/written")
            for option in ("--output", "--picture", "--report", "--plans")
        ),
    ],
)
def test_a_command_finds_it_out_before_it_looks_at_anything_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(sys, "argv", ["isthmus", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert line.startswith(f"error: {words[-2]}: cannot be written: ")
    assert words[-1] in line
