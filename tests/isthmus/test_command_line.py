"""The command line from outside: help is light, mistakes are one line and exit 2."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def run(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from isthmus.cli.main import main; main()", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=cwd, check=False)


@pytest.mark.parametrize(
    "command",
    [
        "demo",
        "import",
        "profile",
        "declare",
        "partition",
        "up",
        "cloud",
        "edge",
        "infer",
        "status",
        "emulate-link",
        "policy",
        "doctor",
        "registry",
        "simulate",
    ],
)
def test_every_command_has_help(command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0
    assert command in done.stdout


def test_help_loads_neither_torch_nor_ray_nor_grpc() -> None:
    code = (
        "import sys; sys.argv = ['isthmus', '--help']\n"
        "from isthmus.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'ray', 'grpc'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("up", "none.yaml"), "cannot be read"),
        (("up",), "Missing argument"),
        (("import", "none.pt2", "-o", "out"), "none.pt2"),
        (("partition", "none.pt2", "--edge", "e.json", "--cloud", "c.json", "--bandwidth", "nan"), "--bandwidth"),
        (("emulate-link", "--listen", "x", "--target", "127.0.0.1:1"), "--listen"),
        (("policy", "lst"), "No such command 'lst'"),
        (("policy", "list", "--all"), "all"),
        (("infer", "m", "--input", "x.png", "--timeout", "soon"), "--timeout"),
        (("infer", "m", "--input", "empty.npy"), "--input: is not an array"),
        (("infer", "m", "--input", "archive.npy"), "--input: is not an array"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    (tmp_path / "empty.npy").touch()
    (tmp_path / "archive.npy").write_bytes(b"PK\x03\x04 and no more")
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert said.lstrip("-") in done.stderr


@pytest.mark.parametrize(
    ("command", "policy", "said"),
    [
        ("edge", "wildest", "policy: there is no 'wildest'; use one of cloud-only, cost"),
        ("up", "{name: energy}", "policy.busy: is missing"),
        ("up", "{name: latency, switch_cost: soon}", "policy.switch_cost: is not a quantity (got 'soon')"),
        ("up", "{name: 'beside:None'}", "policy: cannot be imported"),
    ],
)
def test_a_policy_that_cannot_be_ends_the_start(tmp_path: Path, command: str, policy: str, said: str) -> None:
    (tmp_path / "c.yaml").write_text("models: [{name: m, source: 'a:b'}]\npolicy: " + policy)
    done = run(command, "c.yaml", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert said in done.stderr


def test_asking_an_edge_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    done = run("status", "--server", "127.0.0.1:1")
    assert done.returncode == 1
    assert "not ready" in done.stdout
