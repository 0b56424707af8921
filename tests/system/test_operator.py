"""An operator at work beside a running edge: explains a request, changes the policy, reads the log."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import yaml

from isthmus.client import Client, Result
from isthmus.zoo import demo_photos
from nodes.steering import PolicySetting
from scheduler.decision_replay import log_files, log_lines, replayed
from scheduler.policies.base import Policy
from scheduler.policies.factory import configured_policy
from tests.system.conftest import MODEL, Up
from tests.system.launched import HANGS_S

FLOWER = demo_photos()[3]


def isthmus(up: Up, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "isthmus", *words, "--server", up.address]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANGS_S, check=False)


def said(up: Up, *words: str) -> Any:
    done = isthmus(up, *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def kind(client: Client) -> str:
    return client.infer(MODEL, {"image": FLOWER}, timeout_s=60).parameters["isthmus_reason"].split(":")[0]  # type: ignore[union-attr]


def test_a_request_is_explained_with_what_happened(up: Up, client: Client) -> None:
    answer = client.infer(MODEL, {"image": FLOWER}, timeout_s=60)
    record = said(up, "explain", answer.request_id)
    assert record["request"]["request_id"] == answer.request_id
    assert record["choice"]["plan_id"] == answer.plan_id
    assert {one["plan_id"] for one in record["candidates"]} > {answer.plan_id}
    took_s = sum(value for name, value in record["outcome"].items() if name.endswith("_s"))
    assert took_s * 1e3 == pytest.approx(
        sum(value for name, value in answer.timings.items() if "predicted" not in name)
    )
    read = isthmus(up, "explain", answer.request_id).stdout.splitlines()
    assert read[0].startswith(f"request {answer.request_id}")
    assert any(line.startswith("> ") and answer.plan_id in line for line in read)


def test_a_photo_that_crosses_as_it_came_does_not_wait_for_what_the_edge_computes(up: Up, client: Client) -> None:
    answer = client.infer(MODEL, {"image": FLOWER}, timeout_s=60)
    plans = {one["name"]: one["plan_id"] for one in said(up, "explain", answer.request_id)["candidates"]}

    def asked(by: Client, plan: str) -> Result:
        return by.infer(MODEL, {"image": FLOWER}, timeout_s=60, plan_id=plans[plan])

    with ThreadPoolExecutor(1) as beside, Client(up.address) as other:
        asked(client, "cloud-only (file)")
        beside.submit(asked, other, "edge-only").result()
        computing = beside.submit(asked, other, "edge-only")
        time.sleep(0.03)  # its prefix has begun
        crossed = asked(client, "cloud-only (file)")
        computed = computing.result()
    assert crossed.timings["edge_queue"] < computed.timings["edge"] / 4


def test_an_operator_changes_the_policy_watches_and_rolls_back(up: Up, client: Client) -> None:
    assert said(up, "policy", "set", "edge-only")["policies"] == [
        {"model": "", "class": "", "policy": "edge-only", "options": {}}
    ]
    try:
        assert "edge-only" in kind(client)
        said(up, "policy", "shadow", "cloud-only")
        assert "edge-only" in kind(client)
        assert said(up, "policy", "show")["shadow_report"]["decisions"] == 1
        said(up, "policy", "set", "cloud-only", "--model", MODEL)
        assert "cloud-only" in kind(client)
        said(up, "policy", "unset", "--model", MODEL)
        assert "edge-only" in kind(client)
    finally:
        said(up, "policy", "shadow", "off")
        now = said(up, "policy", "set", "latency")
    assert now["shadow"] is None
    assert now["policies"] == [{"model": "", "class": "", "policy": "latency", "options": {}}]


def test_an_edge_measures_its_plans_again_when_it_is_told_and_answers_on(up: Up, client: Client) -> None:
    def count() -> int:
        told: int = said(up, "top")["drift"]["measured_again"]
        return told

    before = count()
    assert said(up, "remeasure") == {"server": up.address, "ordered": True}
    for _ in range(int(2 * HANGS_S)):
        if count() > before:
            break
        time.sleep(0.5)
    assert count() == before + 1
    assert client.infer(MODEL, {"image": FLOWER}, timeout_s=60).plan_id
    assert isthmus(up, "remeasure").stdout == f"{up.address}: ordered; it begins when no request is there\n"


def test_status_says_that_an_edge_is_ready_and_what_needs_attention(up: Up) -> None:
    told = said(up, "status")
    assert (told["server"], told["ready"]) == (up.address, True)
    lines = isthmus(up, "status").stdout.splitlines()
    assert lines[0] == f"{up.address}: ready"
    assert len(lines) == 1 + len(told["attention"])


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("explain", "nothing"), "request 'nothing' is not known here"),
        (("policy", "set", "wildest"), "policy: there is no 'wildest'"),
        (("policy", "set", "latency", "-O", "fast"), "--option: is not KEY=VALUE"),
        (("policy", "canary", "latency", "--share", "7"), "canary.share: is no share"),
        (("policy", "unset"), "scope: all requests need a policy"),
    ],
)
def test_a_wrong_order_is_one_line_and_exit_code_2(up: Up, words: tuple[str, ...], error: str) -> None:
    done = isthmus(up, *words)
    assert done.returncode == 2
    assert error in done.stderr
    assert len(done.stderr.splitlines()) == 1


def waited_for(up: Up, line: str, since: int) -> list[str]:
    """What the deployment said after that many lines of its log, once the line is among it."""
    for _ in range(int(10 * HANGS_S)):
        said = (up.folder / "isthmus.log").read_text().splitlines()[since:]
        if any(line in one for one in said):
            return said
        time.sleep(0.1)
    raise AssertionError(f"{line!r} was not said, but {said}")


def finished_by(client: Client, request_class: str) -> object:
    answer = client.infer(MODEL, {"image": FLOWER}, timeout_s=60, request_class=request_class)
    return answer.parameters["isthmus_finished_by"]


def scopes(up: Up) -> dict[str, str]:
    return {one["model"] or one["class"]: one["policy"] for one in said(up, "policy", "show")["policies"]}


def test_a_running_edge_follows_its_file_and_keeps_its_policies_where_the_file_is_wrong(up: Up, client: Client) -> None:
    path, log = up.folder / "isthmus.yaml", up.folder / "isthmus.log"
    before = path.read_text()
    file = yaml.safe_load(before)

    def saved(text: str, line: str) -> list[str]:
        heard = len(log.read_text().splitlines())
        path.write_text(text)
        return waited_for(up, line, heard)

    try:
        said(up, "policy", "set", "cloud-only", "--class", "set by hand")
        changed = {**file, "policy": "edge-only", "request_classes": {"alarm": "cloud-only"}}
        changed["edge"] = {**file["edge"], "threads": 2}
        lines = saved(yaml.safe_dump(changed), "restart")
        assert any("all requests: edge-only, was latency" in one and "class alarm: cloud-only" in one for one in lines)
        assert any("in force after a restart only: edge.threads" in one for one in lines)
        assert any("replaces what" in one and "class set by hand: cloud-only" in one for one in lines)
        assert scopes(up) == {"": "edge-only", "alarm": "cloud-only"}
        assert "edge-only" in kind(client)
        assert finished_by(client, "alarm") == "cloud"
        wrong = {**file, "models": [{**file["models"][0], "policy": {"name": "slo", "probability": 7}}]}
        saved(yaml.safe_dump(wrong), f"not followed: models.{MODEL}.policy.probability: ")
        assert scopes(up) == {"": "edge-only", "alarm": "cloud-only"}
        saved("models: [", "not followed: ")
        assert "edge-only" in kind(client)
    finally:
        saved(before, "all requests: latency")
    assert scopes(up) == {"": "latency"}


def test_every_decision_is_on_disk_and_replays_to_the_same_choice(up: Up, client: Client) -> None:
    answer = client.infer(MODEL, {"image": FLOWER}, timeout_s=60)
    time.sleep(1.5)  # the log is written twice a second
    lines = [line for path in log_files(up.folder / "decisions") for line in log_lines(path)]
    decisions = {line["request"]["request_id"] for line in lines if line["kind"] == "decision"}
    outcomes = {line["request_id"]: line for line in lines if line["kind"] == "outcome"}
    assert answer.request_id in decisions & outcomes.keys()
    assert outcomes[answer.request_id]["finished_by"] == answer.parameters["isthmus_finished_by"]

    def made(setting: PolicySetting) -> Policy:
        return configured_policy(setting.name)

    again = list(replayed(lines, made))
    assert len(again) == len([line for line in lines if line["kind"] in ("decision", "declined")])
    assert all(one.same for one in again)
