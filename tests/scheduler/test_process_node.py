"""A node in a process of its own, and the orders that its launcher gives on its standard input."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from torch import nn

from isthmus.errors import IsthmusError, NotFound, Unavailable
from nodes.configured_policies import ConfiguredPolicies, ScopedPolicy
from nodes.settings import CloudSettings, EdgeSettings, ModelArtifact
from nodes.steering import EVERYTHING, PolicySetting, Scope
from nodes.transport.operator_client import OperatorClient
from partitioner.artifact import save_artifact
from partitioner.front_end import model_from_module
from scheduler.autoscaling import AutoscalingRule
from scheduler.node_orders import error_said, policies_order, raise_refusal
from scheduler.process_node import until_hung
from scheduler.process_runtime import ProcessRuntime, _Node

OWN = "from scheduler.policies.edge_only import EdgeOnlyPolicy as Own\n"
LOUD = OWN + "print(3)\n"
SLOW = "import time\ntime.sleep(60)\n"


@dataclass(frozen=True)
class Node:
    """An edge without a cloud."""

    process: subprocess.Popen[str]
    folder: Path

    def said(self, *orders: str) -> list[dict[str, Any]]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("".join(f"{order}\n" for order in orders))
        self.process.stdin.flush()
        return [json.loads(self.process.stdout.readline()) for _ in orders]


def edge_settings(folder: Path) -> EdgeSettings:
    save_artifact(model_from_module(nn.Linear(4, 2).eval(), (torch.zeros(2, 4),), "small"), folder / "small")
    return EdgeSettings((ModelArtifact("small", str(folder / "small")),), "127.0.0.1:0", registry="", drain_s=1.0)


def policies(folder: Path, name: str) -> ConfiguredPolicies:
    alarm = ScopedPolicy(Scope("", "alarm"), PolicySetting(name))
    return ConfiguredPolicies((ScopedPolicy(EVERYTHING, PolicySetting("edge-only")), alarm), str(folder))


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """One that serves."""
    folder = tmp_path_factory.mktemp("edge")
    (folder / "own_policy_of_an_order.py").write_text(OWN)
    command = [sys.executable, "-m", "scheduler.process_node", "edge"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        started = Node(process, folder)
        assert "ready" in started.said(edge_settings(folder).to_json())[0]
        yield started
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0


def test_a_node_says_what_it_holds(node: Node) -> None:
    (said,) = node.said("status")
    assert said["status"]["requests"] == 0


def test_policies_come_into_force_a_class_beside_the_configuration_among_them(node: Node) -> None:
    good = policies_order(policies(node.folder, "own_policy_of_an_order:Own"))
    assert node.said(good) == [{"policies": "in force"}]


def test_orders_are_answered_in_turn_and_what_is_wrong_is_refused_without_an_end(node: Node) -> None:
    wrong = ("", "go", "[1]", "{}", '{"models": 3}', '{"models": [{}]}', '{"policies": 3}', "[" * 50_000)
    orders = (*wrong, '{"policies": {"scoped": [{}], "folder": ""}}')
    answers = node.said(*orders, policies_order(policies(node.folder, "best")), "status")
    *refused, unknown, status = answers
    assert [said["kind"] for said in refused] == ["InvalidRequest"] * len(orders)
    assert all('write status, {"policies": ...} or {"models": ...}' in said["refused"] for said in refused)
    assert (unknown["kind"], unknown["refused"].split(";")[0]) == ("NotFound", "policy: there is no 'best'")
    assert "status" in status


def test_a_launcher_that_goes_ends_a_node_also_while_it_follows_an_order(tmp_path: Path) -> None:
    (tmp_path / "own_policy_that_is_slow.py").write_text(SLOW)
    command = [sys.executable, "-m", "scheduler.process_node", "edge"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        Node(process, tmp_path).said(edge_settings(tmp_path).to_json())
        process.stdin.write(policies_order(policies(tmp_path, "own_policy_that_is_slow:Own")) + "\n")
        process.stdin.close()
        assert process.wait(30) == 0


async def test_a_runtime_configures_its_edge_as_a_whole_or_raises_what_the_edge_refuses(tmp_path: Path) -> None:
    runtime = ProcessRuntime()
    operator = OperatorClient(await runtime.start_edge(edge_settings(tmp_path)))
    try:
        await runtime.configure(policies(tmp_path, "latency"))
        now, _ = await operator.steering()
        assert {str(scope): one.name for scope, one in now.policies.items()} == {
            "all requests": "edge-only",
            "class alarm": "latency",
        }
        (tmp_path / "own_policy_that_prints.py").write_text(LOUD)
        await runtime.configure(policies(tmp_path, "own_policy_that_prints:Own"))
        now, _ = await operator.steering()
        with pytest.raises(NotFound, match="there is no 'best'"):
            await runtime.configure(policies(tmp_path, "best"))
        assert (await operator.steering())[0] == now
    finally:
        await operator.close()
        await runtime.stop()


async def test_of_a_cloud_that_cannot_start_whole_nothing_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it lacks: memory for another process is no error of ours."""
    started, stopped = list[object](), list[object]()

    async def start(node: object) -> str:
        if started:
            raise OSError(12, "Cannot allocate memory")
        started.append(node)
        return "127.0.0.1:1"

    async def stop(node: object) -> None:
        stopped.append(node)

    monkeypatch.setattr(_Node, "start", start)
    monkeypatch.setattr(_Node, "stop", stop)
    monkeypatch.setattr(_Node, "supervise", lambda node: None)
    runtime = ProcessRuntime()
    settings = CloudSettings((), "127.0.0.1:0", "127.0.0.1:1")
    with pytest.raises(OSError, match="allocate"):
        await runtime.start_cloud(settings, AutoscalingRule(2, 2), 2)
    assert runtime._clouds == []
    assert len(stopped) == 2


async def test_an_edge_that_died_is_told_of_and_does_not_answer(tmp_path: Path) -> None:
    runtime = ProcessRuntime()
    await runtime.start_edge(edge_settings(tmp_path))
    watching = asyncio.create_task(runtime.watch_edge())
    process = runtime._edges[0]._process
    assert process is not None
    process.kill()
    with pytest.raises(Unavailable, match="edge node: died with -9"):
        await asyncio.wait_for(watching, 30)
    with pytest.raises(Unavailable, match="edge node: does not answer"):
        await runtime.configure(policies(tmp_path, "latency"))
    await runtime.stop()


async def test_a_node_that_does_not_start_in_time_says_what_allows_more(tmp_path: Path) -> None:
    runtime = ProcessRuntime()
    with pytest.raises(Unavailable, match=r"edge node: not ready within 0\.01 s; .* raise edge\.start_timeout"):
        await runtime.start_edge(replace(edge_settings(tmp_path), starts_within_s=0.01))
    await runtime.stop()


async def test_a_node_that_hangs_while_it_is_started_again_is_killed_and_started_again(tmp_path: Path) -> None:
    node = _Node("edge", edge_settings(tmp_path))
    node._start_timeout_s = 0.01  # less than any start takes
    node.supervise()
    pids = set[int]()
    async with asyncio.timeout(30):
        while len(pids) < 2:
            await asyncio.sleep(0.01)
            if node._process is not None:
                pids.add(node._process.pid)
    await node.stop()
    assert not any(map(psutil.pid_exists, pids))


@pytest.mark.parametrize(
    ("kind", "error"), [("NotFound", "NotFound"), ("InvalidRequest", "InvalidConfiguration"), ("rm", "Unavailable")]
)
def test_a_nodes_error_is_raised_as_one_of_ours(kind: str, error: str) -> None:
    assert type(error_said("no", kind)).__name__ == error
    with pytest.raises(IsthmusError, match="no"):
        raise_refusal({"refused": "no", "kind": kind})


async def test_a_replica_counts_as_hung_when_it_fails_three_times_in_a_row() -> None:
    answers = [False, False, True, False, False, False]

    def check() -> None:
        if not answers.pop(0):
            raise Unavailable("compute thread: has not returned for 99 s")

    async with asyncio.timeout(10):
        await until_hung(check, period_s=0.0)
    assert answers == []
