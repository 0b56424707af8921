"""`isthmus declare`: power and price in a profile, and the objectives that need them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from isthmus.cli.main import app
from isthmus.errors import InvalidInput
from partitioner.artifact import save_artifact
from partitioner.measurements import Power
from partitioner.model import Model
from partitioner.profiles import DeviceProfile
from partitioner.setting import Setting


@pytest.fixture
def folder(tmp_path: Path, model: Model, setting: Setting) -> Path:
    """A model and two profiles that declare nothing."""
    save_artifact(model, tmp_path / "model")
    (tmp_path / "edge.json").write_text(setting.edge.to_json())
    (tmp_path / "cloud.json").write_text(setting.cloud.to_json())
    return tmp_path


def _call(*words: str) -> str:
    done = CliRunner().invoke(app, words)
    if done.exception is not None:
        raise done.exception
    return done.stdout


def _partition(folder: Path, objective: str) -> str:
    files = ["--edge", str(folder / "edge.json"), "--cloud", str(folder / "cloud.json")]
    return _call("partition", str(folder / "model"), *files, "--objective", objective)


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        ("energy", ("edge.json", "--busy", "5W", "--idle", "800mW", "--radio", "2W")),
        ("cost", ("cloud.json", "--price", "0.9/h")),
    ],
)
def test_an_objective_that_lacks_a_fact_names_the_command_that_states_it(
    folder: Path, objective: str, words: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidInput, match="isthmus declare"):
        _partition(folder, objective)
    _call("declare", str(folder / words[0]), *words[1:])
    assert f"{objective}: " in _partition(folder, objective)


def test_what_is_not_given_stays(folder: Path) -> None:
    path = str(folder / "edge.json")
    _call("declare", path, "--busy", "5W", "--idle", "1W", "--radio", "0W", "--price", "3.6/h")
    assert "4 W busy, 1 W idle, 0 W radio; 3.6 an hour" in _call("declare", path, "--busy", "4W")
    known = DeviceProfile.from_json((folder / "edge.json").read_text())
    assert known.power is not None
    assert known.price is not None
    assert (known.power.busy_w, known.power.idle_w) == (4.0, 1.0)
    assert known.price.per_s == pytest.approx(0.001)
    assert known.power.provenance.startswith("declared 2")


def test_what_was_declared_goes_before_what_is_measured(folder: Path, setting: Setting) -> None:
    like = ["--like", str(folder / "cloud.json"), "--peak", "1gflops", "--memory", "1GB/s"]
    kept = []
    for measured in (False, True):
        path = folder / f"{measured}.json"
        known = replace(setting.edge, power=Power(5.0, 1.0, 0.0, "somebody", measured=measured))
        path.write_text(known.to_json())
        _call("profile", "-o", str(path), *like)
        kept.append(DeviceProfile.from_json(path.read_text()).power)
    assert kept == [Power(5.0, 1.0, 0.0, "somebody"), None]  # what was read is of the hardware that it was read on


def test_a_radio_is_declared_beside_what_was_measured_and_stays_when_that_is_measured_again(
    folder: Path, setting: Setting
) -> None:
    path, power = folder / "edge.json", Power(5.0, 1.0, 0.0, "measured by RAPL", measured=True)
    assert not power.knows_radio
    path.write_text(replace(setting.edge, power=power).to_json())
    for watts in ("3W", "2W"):
        _call("declare", str(path), "--radio", watts)
    kept = DeviceProfile.from_json(path.read_text()).power
    assert kept is not None
    assert (kept.busy_w, kept.idle_w, kept.radio_w, kept.measured, kept.knows_radio) == (5.0, 1.0, 2.0, True, True)
    assert re.fullmatch(r"measured by RAPL; radio declared \d{4}-\d\d-\d\d", kept.said_by)
    anew = Power(7.0, 2.0, 0.0, "measured later", measured=True).with_radio_of(kept)
    assert (anew.busy_w, anew.idle_w, anew.radio_w) == (7.0, 2.0, 2.0)
    assert anew.said_by == kept.said_by.replace("by RAPL", "later")
    assert anew.knows_radio


@pytest.mark.parametrize(("radio_w", "known"), [(0.0, False), (2.0, True)])
def test_a_profile_that_does_not_say_who_declared_its_radio_is_read_and_a_radio_that_takes_power_is_known(
    setting: Setting, radio_w: float, known: bool
) -> None:
    power = Power(5.0, 1.0, radio_w, "measured by RAPL", measured=True)
    document = json.loads(replace(setting.edge, power=power).to_json())
    del document["power"]["radio_by"]
    read = DeviceProfile.from_json(json.dumps(document)).power
    assert read == power
    assert read.knows_radio is known


def test_who_declared_a_radio_is_said_of_what_was_read_when_the_rest_is_declared(
    folder: Path, setting: Setting
) -> None:
    path = folder / "edge.json"
    read = Power(5.0, 1.0, 2.0, "measured by RAPL", measured=True, radio_by="declared by somebody")
    path.write_text(replace(setting.edge, power=read).to_json())
    _call("declare", str(path), "--busy", "6W")
    power = DeviceProfile.from_json(path.read_text()).power
    assert power is not None
    assert power.provenance.endswith("; the rest measured by RAPL; radio declared by somebody")
    assert (power.radio_w, power.radio_by, power.knows_radio) == (2.0, "", True)


def test_a_cable_is_a_radio_that_is_known_to_take_nothing() -> None:
    read = Power(5.0, 1.0, 0.0, "measured by RAPL", measured=True)
    cable = read.with_radio(0.0, "declared 2026-01-01")
    assert (read.knows_radio, cable.knows_radio) == (False, True)
    assert read.with_radio_of(cable) == cable


def test_what_was_read_is_said_beside_what_was_declared_however_often(folder: Path, setting: Setting) -> None:
    path = folder / "edge.json"
    path.write_text(replace(setting.edge, power=Power(5.0, 1.0, 0.0, "measured by RAPL", measured=True)).to_json())
    for words in (("--busy", "6W", "--radio", "1W"), ("--radio", "2W")):
        _call("declare", str(path), *words)
        power = DeviceProfile.from_json(path.read_text()).power
        assert power is not None
        assert re.fullmatch(r"declared \d{4}-\d\d-\d\d; the rest measured by RAPL", power.provenance)
        assert (power.busy_w, power.idle_w, power.measured) == (6.0, 1.0, False)


def test_who_declared_the_rest_is_not_forgotten(folder: Path, setting: Setting) -> None:
    path = folder / "edge.json"
    path.write_text(replace(setting.edge, power=Power(5.0, 1.0, 2.0, "somebody")).to_json())
    _call("declare", str(path), "--radio", "3W")
    power = DeviceProfile.from_json(path.read_text()).power
    assert power is not None
    assert re.fullmatch(r"declared \d{4}-\d\d-\d\d; the rest somebody", power.provenance)


def test_a_radio_that_nobody_told_of_is_asked_for(folder: Path, setting: Setting) -> None:
    path = folder / "edge.json"
    path.write_text(replace(setting.edge, power=Power(5.0, 1.0, 0.0, "measured by RAPL", measured=True)).to_json())
    done = CliRunner().invoke(app, ["declare", str(path), "--busy", "6W", "--idle", "1W"])
    assert done.exit_code != 0
    assert str(done.exception).startswith("--radio: is needed too")


def test_measuring_a_device_again_keeps_what_was_declared(folder: Path) -> None:
    path = folder / "edge.json"
    _call("declare", str(path), "--price", "3.6/h")
    _call("profile", "-o", str(path), "--budget", "0.1s")
    known = DeviceProfile.from_json(path.read_text())
    assert known.provenance.torch_version != "2.13"  # measured here and now
    assert known.price is not None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "declare: says nothing"),
        (("--busy", "5W"), "--idle: is needed too"),
        (("--busy", "1W", "--idle", "2W", "--radio", "0W"), "--busy: is less than --idle"),
        (("--busy", "fast", "--idle", "2W", "--radio", "0W"), "--busy: is not a quantity"),
        (("--price", "3 dollars"), "--price: has an unknown unit"),
    ],
)
def test_half_a_declaration_is_refused(folder: Path, words: tuple[str, ...], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        _call("declare", str(folder / "edge.json"), *words)


def test_a_profile_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"none\.json: cannot be read"):
        _call("declare", str(tmp_path / "none.json"), "--price", "1/h")
