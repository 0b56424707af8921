"""docs/policies.md is true: its policy is written, tested and configured as it says."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from isthmus.configuration import read_configuration
from scheduler.policies.factory import BUILT_IN, checked_options, options_type

PAGE = Path(__file__).parents[3] / "docs" / "policies.md"
TEXT = PAGE.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a reader of the page has then."""
    policy, test = blocks("python")
    (tmp_path / "my_policies.py").write_text(policy)
    (tmp_path / "test_my_policies.py").write_text(test)
    return tmp_path


def test_the_policy_has_thirty_lines_at_most() -> None:
    assert len(blocks("python")[0].strip().splitlines()) <= 30


def test_its_test_passes_and_fails_for_a_policy_that_is_wrong(folder: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_my_policies.py"]
    root = f"import sys; sys.path.insert(0, {str(PAGE.parents[1])!r})\n"
    (folder / "conftest.py").write_text(root)
    right = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert right.returncode == 0, right.stdout
    wrong = (folder / "my_policies.py").read_text().replace("best = min(", "best = max(")
    (folder / "my_policies.py").write_text(wrong)
    assert subprocess.run(command, cwd=folder, capture_output=True, timeout=120, check=False).returncode == 1


def uplink_busy(answers: Path) -> float:
    found = json.loads(answers.read_text())["utilisation"]
    return next(float(one["share"]["value"]) for one in found if one["kind"] == "uplink")


def test_its_fleet_is_simulated_as_the_page_says(folder: Path) -> None:
    shutil.copy(PAGE.parents[1] / "examples/plans/efficientnet-lite0.json", folder / "plans.json")
    (folder / "shop.yaml").write_text(blocks("yaml")[2])
    assert len(blocks("yaml")[2].splitlines()) == 5
    for command in blocks("sh")[0].splitlines():
        program, *words = shlex.split(command)
        assert program == "isthmus"
        python = [sys.executable, "-m", program, *words, "--workers", "1"]
        done = subprocess.run(
            python, cwd=folder, capture_output=True, text=True, timeout=120, check=False,
            env={**os.environ, "PYTHONPATH": str(PAGE.parents[1])},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert (folder / "greedy/report.html").exists()
    assert 0 < uplink_busy(folder / "greedy/answers.json") < uplink_busy(folder / "latency/answers.json")


def test_every_configuration_on_the_page_is_accepted(folder: Path) -> None:
    lines = blocks("yaml")[0].splitlines()
    for line in lines:
        (folder / "isthmus.yaml").write_text("models: [{name: m, source: 'a:b'}]\n" + line)
        policy = read_configuration(folder / "isthmus.yaml").policy
        checked_options(policy.name, policy.options, str(folder))
    assert len(lines) == 3


def test_every_built_in_policy_and_option_is_on_the_page() -> None:
    for name, kind in BUILT_IN.items():
        row = next(line for line in TEXT.splitlines() if line.startswith("|") and f"`{name}`" in line)
        model = options_type(kind)
        for option in model.model_fields if model else ():
            assert f"`{option}`" in row, f"{name}: {option}"
