"""A follower of a real file, without a node: looked at when the test says so."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from isthmus import configuration_follower
from isthmus.checked_policies import checked_policies
from isthmus.configuration import Configuration, read_configuration
from isthmus.configuration_follower import ConfigurationFollower, FollowedFile
from isthmus.errors import Unavailable
from isthmus.file_stamp import FileStamp
from nodes.configured_policies import ConfiguredPolicies
from scheduler.roll_out import Moved

MODELS = "models: [{name: net, source: 'a:b'}]\n"
FAILS = """
from pydantic import BaseModel, field_validator

class Options(BaseModel):
    patience: int

    @field_validator("patience")
    def fail(cls, value):
        raise RuntimeError("no patience")

class Own:
    Options = Options
"""


class Followed:
    """A file, its follower, and what came of it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "isthmus.yaml"
        self.path.write_text(MODELS)
        self.said: list[str] = []
        self.in_force: list[dict[str, str]] = []
        self.edge_answers = True
        self.rolled_out: list[str] = []
        self.bad_version = False
        self.saved_meanwhile: list[str] = []
        self.roll_out_s = 0.0
        self.moved = Moved()
        started = read_configuration(self.path)
        self.follower = ConfigurationFollower(
            FollowedFile(self.path, FileStamp.of(self.path), ("models", "edge")),
            started,
            checked_policies(started, folder),
            self.configure,
            self.said.append,
            self.roll_out,
        )

    async def roll_out(self, configuration: Configuration) -> Moved:
        if self.bad_version:
            raise Unavailable("cloud-2 application: this version does not start")
        for text in self.saved_meanwhile:
            self.replace(text)
            await asyncio.sleep(self.roll_out_s)
        await asyncio.sleep(self.roll_out_s)
        self.rolled_out.append(configuration.models[0].source)
        return self.moved

    async def configure(self, policies: ConfiguredPolicies) -> None:
        if not self.edge_answers:
            raise Unavailable("edge node: does not answer")
        self.in_force.append({str(scope): one.name for scope, one in policies.by_scope.items()})

    def replace(self, text: str) -> None:
        """As editors save: another file in its place."""
        other = self.path.with_suffix(".new")
        other.write_text(text)
        os.replace(other, self.path)

    async def looks(self, times: int = 2) -> None:
        for _ in range(times):
            await self.follower.look()


@pytest.fixture
def file(tmp_path: Path) -> Followed:
    """A file that names a model and nothing else."""
    return Followed(tmp_path)


async def test_a_file_that_stays_changes_and_says_nothing(file: Followed) -> None:
    await file.looks(3)
    assert (file.in_force, file.said) == ([], [])


async def test_changed_policies_come_into_force_and_are_said_once(file: Followed) -> None:
    file.replace(MODELS + "policy: edge-only\nrequest_classes: {alarm: cloud-only}\n")
    await file.looks(4)
    assert file.in_force == [{"all requests": "edge-only", "class alarm": "cloud-only"}]
    (line,) = file.said
    assert line.startswith("isthmus.yaml: policy for all requests: edge-only, was latency")
    assert line.endswith("; class alarm: cloud-only")


async def test_a_file_that_is_being_written_is_not_read_yet(file: Followed) -> None:
    file.replace(MODELS + "policy: edge-only\n")
    await file.looks(1)
    file.replace(MODELS + "policy: edge-only\nrequest_classes: {alarm: cloud-only}\n")
    await file.looks(1)
    assert file.in_force == []
    await file.looks(1)
    assert file.in_force == [{"all requests": "edge-only", "class alarm": "cloud-only"}]


async def test_a_policy_whose_own_code_fails_does_not_end_the_following(file: Followed) -> None:
    (file.path.parent / "own_policy_that_fails.py").write_text(FAILS)
    for policy in ("{name: 'own_policy_that_fails:Own', patience: 3}", "edge-only"):
        file.replace(MODELS + f"policy: {policy}\n")
        await file.looks()
    words = "isthmus.yaml: not followed: policy: cannot read its options: RuntimeError: no patience"
    assert file.said[0].startswith(words)
    assert file.in_force == [{"all requests": "edge-only"}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: [", "is not YAML"),
        (MODELS + "policy: &a {name: slo, of: *a}\n", "policy.of: is no option"),
        (MODELS + "policy: best\n", "policy: there is no 'best'"),
        (MODELS + "request_classes: {alarm: {name: slo, probability: 7}}\n", "request_classes.alarm.probability: "),
        (MODELS + "edge: {threads: 0}\npolicy: edge-only\n", "edge.threads: "),
    ],
)
async def test_a_wrong_file_is_one_line_and_changes_nothing(file: Followed, text: str, said: str) -> None:
    file.replace(text)
    await file.looks(4)
    assert file.in_force == []
    (line,) = file.said
    assert line.startswith("isthmus.yaml: not followed: ")
    assert said in line
    assert "\n" not in line


async def test_a_file_that_is_gone_changes_nothing_and_is_followed_when_it_is_back(file: Followed) -> None:
    file.path.unlink()
    await file.looks(3)
    assert (len(file.said), file.in_force) == (1, [])
    assert "cannot be read" in file.said[0]
    file.replace(MODELS + "policy: edge-only\n")
    await file.looks()
    assert file.in_force == [{"all requests": "edge-only"}]


async def test_other_keys_are_named_as_long_as_they_differ_and_policies_beside_them_come_into_force(
    file: Followed,
) -> None:
    for policy in ("edge-only", "{name: cost, price: 1/h}", "latency"):
        file.replace(MODELS + f"edge: {{threads: 2}}\ncloud: {{replicas: 2}}\npolicy: {policy}\n")
        await file.looks()
    assert [one["all requests"] for one in file.in_force] == ["edge-only", "cost", "latency"]
    assert file.said[1::2] == ["isthmus.yaml: in force after a restart only: edge.threads"] * 3


async def test_a_file_saved_with_the_same_policies_puts_them_in_force_again(file: Followed) -> None:
    file.replace(MODELS + "# a remark\n")
    await file.looks()
    assert file.in_force == [{"all requests": "latency"}]
    assert file.said == ["isthmus.yaml: policies in force as they were in it"]


async def test_an_edge_that_does_not_answer_is_said_and_what_it_has_is_still_what_was(file: Followed) -> None:
    file.edge_answers = False
    file.replace(MODELS + "policy: edge-only\n")
    await file.looks()
    assert file.said == ["isthmus.yaml: not followed: edge node: does not answer"]
    file.edge_answers = True
    file.replace(MODELS + "policy: edge-only\n")
    await file.looks()
    assert "edge-only, was latency" in file.said[1]


NEWER = MODELS.replace("a:b", "a:newer")


async def test_another_version_of_a_model_is_rolled_out_once(file: Followed) -> None:
    file.replace(NEWER)
    await file.looks(3)
    file.replace(NEWER + "policy: edge-only\n")
    await file.looks(3)
    assert file.rolled_out == ["a:newer"]
    said = [line.removeprefix("isthmus.yaml: ") for line in file.said]
    assert said[1:3] == ["rolling out: models.net.source", "rolled out: models.net.source"]
    assert not any("restart" in line for line in said)


async def test_edges_that_a_roll_out_has_left_behind_are_told_of(file: Followed) -> None:
    file.moved = Moved(3, 1)
    file.replace(NEWER)
    await file.looks(3)
    assert file.said[-1] == (
        "isthmus.yaml: rolled out: models.net.source; 1 of 3 edges had not moved when cloud.overlap was over"
    )


async def test_a_version_that_is_not_rolled_out_is_tried_again_when_the_file_is_saved(file: Followed) -> None:
    file.bad_version = True
    file.replace(NEWER)
    await file.looks(3)
    assert file.said[-1] == (
        "isthmus.yaml: not rolled out, what served before goes on: cloud-2 application: this version does not start"
    )
    file.bad_version = False
    file.replace(NEWER)
    await file.looks(3)
    assert file.rolled_out == ["a:newer"]


@pytest.fixture
def slow_roll_out(file: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes many looks."""
    monkeypatch.setattr(configuration_follower, "LOOK_S", 0.001)
    file.roll_out_s = 0.02


async def test_a_file_that_is_saved_while_it_is_rolled_out_is_told_of_once_and_followed_afterwards(
    file: Followed, slow_roll_out: None
) -> None:
    file.saved_meanwhile = [NEWER + "policy: cloud-only\n", NEWER + "policy: edge-only\n"]
    file.replace(NEWER)
    await file.looks(2)
    assert file.said[1:] == [
        "isthmus.yaml: rolling out: models.net.source",
        "isthmus.yaml: saved meanwhile: followed when the roll-out is over; `isthmus policy set` acts now",
        "isthmus.yaml: rolled out: models.net.source",
    ]
    await file.looks(2)
    assert [one["all requests"] for one in file.in_force] == ["latency", "edge-only"]
    assert file.rolled_out == ["a:newer"]


async def test_a_roll_out_of_a_file_that_stays_says_nothing_of_saving(file: Followed, slow_roll_out: None) -> None:
    file.replace(NEWER)
    await file.looks(2)
    assert file.said[1:] == [
        "isthmus.yaml: rolling out: models.net.source",
        "isthmus.yaml: rolled out: models.net.source",
    ]
    assert len(asyncio.all_tasks()) == 1


async def test_a_file_that_needs_a_restart_too_is_not_rolled_out_in_part(file: Followed) -> None:
    file.replace("models: [{name: net, source: 'a:newer'}, {name: another, source: 'a:b'}]\n")
    await file.looks(3)
    assert file.rolled_out == []
    assert file.said[1:] == [
        "isthmus.yaml: in force after a restart only: models.another",
        "isthmus.yaml: not rolled out, as some of it needs a restart: models.net.source",
    ]
