"""Replicas of one kind and one parent share a profile; nobody else does."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from nodes.engines.eager import EagerEngine
from nodes.measure.kept_profile import MOST_AGE_S, KeptProfile
from tests.nodes.sites import profile


def kept(folder: Path, threads: int = 1, digests: tuple[str, ...] = ("a", "b")) -> KeptProfile:
    return KeptProfile(EagerEngine(threads=threads), digests, folder=folder)


def test_another_replica_of_the_kind_reads_it_whatever_the_order_of_its_models(tmp_path: Path) -> None:
    assert kept(tmp_path).read() is None
    kept(tmp_path).write(profile())
    assert kept(tmp_path, digests=("b", "a")).read() == profile()
    assert kept(tmp_path, threads=2).read() is None
    assert kept(tmp_path, digests=("a",)).read() is None


def test_replicas_of_another_parent_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept(tmp_path).write(profile())
    monkeypatch.setattr(os, "getppid", lambda: -1)
    assert kept(tmp_path).read() is None


def test_one_that_is_old_or_broken_is_none(tmp_path: Path) -> None:
    kept(tmp_path).write(profile())
    (file,) = tmp_path.iterdir()
    said = json.loads(file.read_text())
    file.write_text(json.dumps({**said, "made_s": said["made_s"] - MOST_AGE_S - 1}))
    assert kept(tmp_path).read() is None
    file.write_text("{")
    assert kept(tmp_path).read() is None


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept(tmp_path / "file" / "below").write(profile())
    assert kept(tmp_path / "file" / "below").read() is None
