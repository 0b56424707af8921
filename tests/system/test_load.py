"""`isthmus load`: locust, in a process of its own, on a real `isthmus up`."""

from __future__ import annotations

import csv
import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from isthmus.zoo import demo_photos
from tests.system.conftest import MODEL, Up
from tests.system.launched import HANGS_S

# Importing it here would patch this process's sockets and threads.
pytestmark = pytest.mark.skipif(find_spec("locust") is None, reason="locust is not installed")


def scenario(folder: Path, *clients: dict[str, Any]) -> Path:
    path = folder / "scenario.yaml"
    content = {
        "duration": "4s",
        "warm_up": "1s",
        "models": [{"name": MODEL, "plans": "plans.json"}],
        "links": [{"name": "lan", "uplink": "200mbps", "downlink": "200mbps", "rtt": "5ms"}],
        "edges": [{"name": "shop", "link": "lan"}],
        "clients": [{"edges": "shop", "model": MODEL, **client} for client in clients],
    }
    path.write_text(yaml.safe_dump(content))
    return path


def load(path: Path, server: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "isthmus", "load", str(path), "--server", server, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANGS_S, check=False)


def test_a_scenario_loads_a_live_edge(up: Up, tmp_path: Path) -> None:
    cameras = {"name": "cameras", "count": 2, "arrivals": {"kind": "steady", "period": "250ms"}, "file": "100kB"}
    desks = {"name": "desks", "arrivals": {"kind": "poisson", "rate_per_s": 4.0}, "deadline": "3ms", "file": "100kB"}
    path = scenario(tmp_path, cameras, desks)
    done = load(path, up.address, "--input", str(demo_photos()[0]), "--csv", str(tmp_path / "out"))
    with (tmp_path / "out_stats.csv").open() as file:
        rows = {row["Name"]: row for row in csv.DictReader(file)}
    assert 20 <= int(rows["cameras"]["Request Count"]) <= 26  # two at four a second, three seconds of them
    assert int(rows["cameras"]["Failure Count"]) == 0
    assert float(rows["cameras"]["Min Response Time"]) > 1.0
    assert int(rows["desks"]["Failure Count"]) == int(rows["desks"]["Request Count"]) > 0
    assert done.returncode == 1  # as locust says it where requests failed
    assert "RATE" in done.stderr or "kept its rate" in done.stderr
    assert re.search("DeadlineExceeded|DeadlineUnreachable|Overloaded", done.stdout + done.stderr)  # late, or refused
    assert "Traceback" not in done.stderr


CAMERAS = {"name": "cameras", "count": 2, "arrivals": {"kind": "steady", "period": "250ms"}, "file": "100kB",
           "deadline": "2s"}  # fmt: skip


def test_two_processes_share_out_the_clients(up: Up, tmp_path: Path) -> None:
    words = ("--input", str(demo_photos()[0]), "--csv", str(tmp_path / "out"), "--processes", "2")
    done = load(scenario(tmp_path, CAMERAS), up.address, *words)
    with (tmp_path / "out_stats.csv").open() as file:
        rows = {row["Name"]: row for row in csv.DictReader(file)}
    assert 20 <= int(rows["cameras"]["Request Count"]) <= 26, done.stderr
    # Each of the two had some: it tells its master, which says the same.
    rates = re.findall(r"KEEP ITS RATE: (\d+) requests|kept its rate: (\d+) requests", done.stderr)
    assert {int(late or kept) for late, kept in rates} <= {10, 11, 12, 13}
    assert len(rates) == 4, done.stderr
    late = "COULD NOT KEEP ITS RATE" in done.stderr  # a busy machine; said in words, and by the exit code
    assert done.returncode == int(late or int(rows["cameras"]["Failure Count"]) > 0)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def page(url: str, **form: str) -> str:
    data = "&".join(f"{key}={value}" for key, value in form.items()).encode() if form else None
    with urllib.request.urlopen(url, data, timeout=30) as answer:
        said: str = answer.read().decode()
        return said


def until(true: Callable[[], bool], seconds: float) -> None:
    over_s = time.monotonic() + seconds
    while True:
        try:
            if true():
                return
        except urllib.error.URLError:
            pass
        assert time.monotonic() < over_s
        time.sleep(0.3)


def test_a_load_is_started_watched_and_stopped_from_its_page(up: Up, tmp_path: Path) -> None:
    url, path = f"http://127.0.0.1:{free_port()}", scenario(tmp_path, CAMERAS)
    command = [sys.executable, "-m", "isthmus", "load", str(path), "--server", up.address, "--web", url[7:]]
    command += ["--input", str(demo_photos()[0])]

    def seen() -> dict[str, Any]:
        told: dict[str, Any] = json.loads(page(f"{url}/stats/requests"))
        return told

    def answered() -> int:
        return sum(one["num_requests"] - one["num_failures"] for one in seen()["stats"] if one["name"] == "cameras")

    with (tmp_path / "load.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        until(lambda: seen()["state"] == "ready", HANGS_S)
        assert answered() == 0  # nothing is sent before somebody says so
        assert json.loads(page(f"{url}/swarm", user_count="2", spawn_rate="2"))["success"]
        until(lambda: answered() >= 2, HANGS_S)
        assert json.loads(page(f"{url}/stop", now="1"))["success"]
        until(lambda: seen()["state"] == "stopped", HANGS_S)
        before = answered()
        time.sleep(3.0)  # the page counts anew every two seconds
        assert answered() == before
        assert "Traceback" not in (tmp_path / "load.log").read_text()
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(HANGS_S)
        finally:
            process.kill()


def test_an_edge_that_is_not_there_ends_the_load_with_the_reason(tmp_path: Path) -> None:
    path = scenario(tmp_path, {"name": "cameras", "arrivals": {"kind": "poisson", "rate_per_s": 1.0}})
    done = load(path, "127.0.0.1:1")
    assert done.returncode == 1
    assert "no edge is ready at 127.0.0.1:1" in done.stderr
