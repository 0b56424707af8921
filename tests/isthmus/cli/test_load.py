"""`isthmus load`: what it refuses before locust starts. That it loads an edge is tested in tests/system."""

from __future__ import annotations

import os
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from isthmus.cli.load_command import locust_command
from isthmus.cli.main import app
from isthmus.errors import InvalidConfiguration, InvalidInput

pytestmark = pytest.mark.skipif(find_spec("locust") is None, reason="locust is not installed")


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a refusal lacks, locust would take the place of the process that tests."""

    def started(*arguments: object) -> None:
        raise AssertionError("locust would have started")

    monkeypatch.setattr(os, "execve", started)


@pytest.fixture
def scenario(tmp_path: Path) -> str:
    content = {
        "duration": "4s",
        "models": [{"name": "m", "plans": "plans.json"}],
        "links": [{"name": "lan", "uplink": "200mbps", "downlink": "200mbps"}],
        "edges": [{"name": "shop", "link": "lan"}],
        "clients": [{"name": "c", "edges": "shop", "model": "m", "arrivals": {"kind": "poisson", "rate_per_s": 1.0}}],
    }
    (tmp_path / "scenario.yaml").write_text(yaml.safe_dump(content))
    return str(tmp_path / "scenario.yaml")


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("--input", "nowhere.jpg"), InvalidInput, "--input: cannot be read"),
        (("--edge", "shed"), InvalidConfiguration, "edge: is no group"),
        (("--server", "nowhere"), InvalidConfiguration, "--server"),
        (("--web", "8089"), InvalidConfiguration, "--web"),
        (("--web", "0.0.0.0:8089"), InvalidConfiguration, "--web: is reached from other machines.*--insecure"),
        (("--tls-key", "key.pem"), InvalidConfiguration, "--tls-certificate"),
    ],
)
def test_a_load_that_cannot_be_is_refused(
    scenario: str, arguments: tuple[str, ...], error: type[Exception], words: str
) -> None:
    done = CliRunner().invoke(app, ["load", scenario, *arguments])
    with pytest.raises(error, match=words):
        raise done.exception or AssertionError(done.output)


def test_of_several_models_a_file_says_for_which_it_is_and_goes_with_it(
    scenario: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = yaml.safe_load(Path(scenario).read_text())
    content["models"].append({"name": "n", "plans": "plans.json"})
    content["clients"].append({**content["clients"][0], "name": "d", "model": "n"})
    Path(scenario).write_text(yaml.safe_dump(content))
    (tmp_path / "cat.jpg").write_bytes(b"picture")
    bare = CliRunner().invoke(app, ["load", scenario, "--input", str(tmp_path / "cat.jpg")])
    with pytest.raises(InvalidInput, match=r"--input: does not say for which of several models .*write MODEL=FILE"):
        raise bare.exception or AssertionError(bare.output)
    told: list[str] = []
    monkeypatch.setattr(os, "execve", lambda _path, _arguments, environment: told.append(environment["ISTHMUS_INPUT"]))
    monkeypatch.chdir(tmp_path)
    named = CliRunner().invoke(app, ["load", scenario, "--input", "n=cat.jpg", "--input", "m=cat.jpg"])
    assert named.exception is None
    assert told == [os.pathsep.join(f"{model}={tmp_path / 'cat.jpg'}" for model in ("n", "m"))]


@pytest.mark.parametrize("web", ["", "127.0.0.1:8089"])
def test_no_port_of_locust_is_reached_from_other_machines(web: str) -> None:
    command = locust_command(web, insecure=False)
    hosts = [host for option, host in pairwise(command) if option in ("--web-host", "--master-bind-host")]
    assert set(hosts) == {"127.0.0.1"}
    assert "--master-bind-host" in command


def test_its_ports_are_reached_where_that_was_asked_for() -> None:
    command = locust_command("0.0.0.0:8089", insecure=True)
    assert command[-4:] == ["--web-host", "0.0.0.0", "--web-port", "8089"]
    assert "--master-bind-host" not in command  # everywhere, by default


def test_a_scenario_that_is_none_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["load", str(tmp_path / "nothing.yaml")])
    assert isinstance(done.exception, InvalidConfiguration)
