"""A policy and its options as an operator writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from isthmus.cli.policy_setting import policy_setting
from isthmus.errors import InvalidInput, InvalidRequest
from nodes.steering import PolicySetting
from partitioner.measurements import Power
from tests.scheduler.policies.test_factory import declared


def test_options_are_checked_and_read_as_the_policy_reads_them() -> None:
    slo = policy_setting("slo", ["probability=0.99", "deadline=200ms"])
    assert (slo.options["probability"], slo.options["deadline"]) == (0.99, 0.2)
    with pytest.raises(InvalidInput, match="busy"):
        policy_setting("energy", None)
    with pytest.raises(InvalidInput, match="probability"):
        policy_setting("slo", ["probability=2"])
    with pytest.raises(InvalidRequest, match="is not KEY=VALUE"):
        policy_setting("slo", ["probability"])


def test_a_file_that_an_option_names_is_read_where_the_operator_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "camera.json").write_text(declared(power=Power(5.0, 1.0, 2.0, "declared")).to_json())
    setting = policy_setting("energy", ["profile=camera.json"])
    (tmp_path / "camera.json").unlink()
    assert [setting.options[name] for name in ("busy", "idle", "radio")] == [5.0, 1.0, 2.0]
    assert "profile" not in setting.options


def test_what_nobody_said_is_left_to_the_edge() -> None:
    assert policy_setting("latency", None) == PolicySetting("latency", {})
    assert policy_setting("slo", ["probability=0.9"]) == PolicySetting("slo", {"probability": 0.9})
    assert policy_setting("nowhere:Class", ["a=1"]) == PolicySetting("nowhere:Class", {"a": 1})


def test_what_only_the_edge_knows_is_left_to_it() -> None:
    assert policy_setting("theirs", ["limit=5"]) == PolicySetting("theirs", {"limit": 5})
