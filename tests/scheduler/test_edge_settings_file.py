"""The file that an edge is started from, and started from again."""

from __future__ import annotations

import shutil
from dataclasses import replace

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


def test_one_that_cannot_be_written_says_so() -> None:
    file = EdgeSettingsFile(STARTED)
    shutil.rmtree(file.path.parent)
    with pytest.raises(Unavailable, match=r"cannot be kept in .*settings\.json: No such file.*; make room"):
        file.configured(POLICIES)
