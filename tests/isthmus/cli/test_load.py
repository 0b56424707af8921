"""`isthmus load`: what it refuses before locust starts. That it loads an edge is tested in tests/system."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from isthmus.cli.main import app
from isthmus.errors import InvalidConfiguration, InvalidInput

pytestmark = pytest.mark.skipif(find_spec("locust") is None, reason="locust is not installed")


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
        (("--tls-key", "key.pem"), InvalidConfiguration, "--tls-certificate"),
    ],
)
def test_a_load_that_cannot_be_is_refused(
    scenario: str, arguments: tuple[str, ...], error: type[Exception], words: str
) -> None:
    done = CliRunner().invoke(app, ["load", scenario, *arguments])
    with pytest.raises(error, match=words):
        raise done.exception or AssertionError(done.output)


def test_a_scenario_that_is_none_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["load", str(tmp_path / "nothing.yaml")])
    assert isinstance(done.exception, InvalidConfiguration)
