"""Errors name the options that were typed, in place of the fields that hold them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from isthmus.cli.main import app
from isthmus.cli.option_names import option_names
from isthmus.errors import DeviceUnavailable, InvalidConfiguration, InvalidInput, IsthmusError, NotFound

OPTIONS = {"edge_load": "--edge-load", "policy.": "--options"}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            InvalidInput("edge_load", "must be more", value=0, remedy="try 1"),
            "--edge-load: must be more (got 0); try 1",
        ),
        (InvalidConfiguration("policy.share", "is none"), "--options share: is none"),
        (NotFound("edge_load: there is no 7"), "--edge-load: there is no 7"),
        (DeviceUnavailable("edge_load: not here"), "--edge-load: not here"),
        (InvalidInput("policy", "is none"), "policy: is none"),
        (NotFound("request 7 is not known"), "request 7 is not known"),
    ],
)
def test_a_field_is_named_by_its_option(error: IsthmusError, said: str) -> None:
    with pytest.raises(type(error)) as raised, option_names(OPTIONS):
        raise error
    assert str(raised.value) == said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--device", "tape"), "--device: is not one (got 'tape')"),
        (("--engine", "steam"), "--engine: there is no 'steam'"),
    ],
)
def test_profile_names_its_options(tmp_path: Path, words: tuple[str, str], said: str) -> None:
    done = CliRunner().invoke(app, ["profile", "-o", str(tmp_path / "device.json"), *words])
    assert str(done.exception).startswith(said)
