"""Real processes: an artifact of the real model, and `isthmus up` as an operator runs it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from isthmus.client import Client
from tests.system.launched import HANGS_S, ended_at_last

MODEL = "efficientnet-lite0"


@dataclass(frozen=True)
class Up:
    """A running `isthmus up`: its process, the address it printed, the folder of its configuration."""

    process: subprocess.Popen[str]
    address: str
    folder: Path


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """efficientnet-lite0 with its real weights, imported once by the command line."""
    folder = tmp_path_factory.mktemp("artifacts") / MODEL
    command = [sys.executable, "-m", "isthmus", "import", "isthmus.zoo:efficientnet_lite0", "-o", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANGS_S, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def run_up(tmp_path_factory: pytest.TempPathFactory, artifact: Path) -> Callable[..., object]:
    """Starts `isthmus up` (or `edge`, `cloud`) with sections of a configuration; ends it with Ctrl-C."""

    @contextlib.contextmanager
    def start(command: str = "up", **sections: dict[str, object]) -> Iterator[Up]:
        for side in {"edge", "cloud"} & sections.keys():
            sections[side] = {"start_timeout": f"{HANGS_S:g}s", **sections[side]}
        configuration = {"models": [{"name": MODEL, "source": str(artifact)}], **sections}
        path = tmp_path_factory.mktemp("config") / "isthmus.yaml"
        path.write_text(yaml.safe_dump(configuration))
        log = path.with_suffix(".log")
        with log.open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "isthmus", command, str(path)], stdout=subprocess.PIPE, stderr=errors, text=True
            )
        with ended_at_last(process) as line:
            assert line.startswith("ready: "), log.read_text()
            yield Up(process, line.strip().removeprefix("ready: ").removeprefix("grpc://"), path.parent)

    return start


@pytest.fixture(scope="session")
def up(run_up: Callable[..., contextlib.AbstractContextManager[Up]]) -> Iterator[Up]:
    """One deployment of bare processes on a fast emulated link, shared by the tests that do not break it."""
    with run_up(
        edge={
            "runtime": "process",
            "listen": "127.0.0.1:0",
            "emulate_slowdown": 4,
            "decision_log": {"folder": "decisions"},
            "page_listen": "127.0.0.1:0",
        },
        cloud={"runtime": "process", "registry_listen": "127.0.0.1:0"},
        link={"bandwidth": "200mbps", "rtt": "5ms"},
    ) as running:
        yield running


@pytest.fixture
def client(up: Up) -> Iterator[Client]:
    """A client of the shared deployment."""
    with Client(up.address) as made:
        yield made
