"""The file that an edge is started from, and started from again."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.errors import Unavailable
from nodes.configured_policies import ConfiguredPolicies, ScopedPolicy
from nodes.settings import EdgeSettings, ModelArtifact
from nodes.steering import EVERYTHING, PolicySetting
from scheduler.edge_settings_file import EdgeSettingsFile

STARTED = EdgeSettings((ModelArtifact("a", "/a-1"), ModelArtifact("b", "/b-1")), "127.0.0.1:0", "")
POLICIES = ConfiguredPolicies((ScopedPolicy(EVERYTHING, PolicySetting("edge-only")),), "/")


def read(file: EdgeSettingsFile) -> EdgeSettings:
    return EdgeSettings.from_json(file.path.read_text())


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this machine keeps what can be made again."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_it_holds_what_was_last_in_force() -> None:
    file = EdgeSettingsFile(STARTED)
    assert read(file) == STARTED
    file.configured(POLICIES)
    file.switched([ModelArtifact("b", "/b-2")])
    assert read(file) == replace(STARTED, policies=POLICIES, models=(STARTED.models[0], ModelArtifact("b", "/b-2")))
    assert [file.path.stat().st_mode & 0o777, file.path.parent.stat().st_mode & 0o777] == [0o600, 0o700]
    assert list(file.path.parent.iterdir()) == [file.path]
    file.close()
    assert not file.path.parent.exists()


def test_it_lies_where_no_system_tidies_up(cache: Path) -> None:
    file = EdgeSettingsFile(STARTED)
    assert file.path.parent.parent == cache / "isthmus" / "run"


def test_one_whose_folder_was_taken_away_is_made_again() -> None:
    file = EdgeSettingsFile(STARTED)
    shutil.rmtree(file.path.parent)
    file.configured(POLICIES)
    assert read(file) == replace(STARTED, policies=POLICIES)
    assert file.path.parent.stat().st_mode & 0o777 == 0o700


def test_one_that_cannot_be_written_says_so_and_the_one_before_stays() -> None:
    file = EdgeSettingsFile(STARTED)
    file.path.with_suffix(".next").mkdir()
    with pytest.raises(Unavailable, match=r"cannot be kept in .*settings\.json: .*; make room, or set XDG_CACHE_HOME"):
        file.configured(POLICIES)
    assert read(file) == STARTED


def test_a_place_where_nothing_can_be_made_is_named(cache: Path) -> None:
    cache.write_text("a file")
    with pytest.raises(Unavailable, match=r"cannot be kept in .*cache/isthmus/run: Not a directory; make room"):
        EdgeSettingsFile(STARTED)
