"""The committed stubs are what `make proto` makes of the schema."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_stubs_are_what_the_schema_says(tmp_path: Path) -> None:
    subprocess.run(["make", "proto", f"PROTO_OUT={tmp_path}"], cwd=ROOT, check=True, capture_output=True, timeout=300)
    made = {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob("*_pb2*")}
    committed = {
        path.relative_to(ROOT): path.read_text()
        for path in (ROOT / "isthmus").rglob("*_pb2*.py*")
        if "__pycache__" not in path.parts
    }
    assert made.keys() == committed.keys()
    assert [path for path in made if made[path] != committed[path]] == []
