"""`isthmus profile MODEL` into a file that is there already, and profiles scaled to other hardware."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from isthmus.cli.main import app
from isthmus.errors import InvalidInput
from partitioner.artifact import save_artifact
from partitioner.measurements import Power, Price
from partitioner.model import Model
from partitioner.profiles import DeviceProfile
from partitioner.setting import Setting

Change = Callable[[DeviceProfile], DeviceProfile]


@pytest.fixture
def folder(tmp_path: Path, model: Model, setting: Setting) -> Path:
    """A model, and the profile of this host."""
    save_artifact(model, tmp_path / "model")
    made = replace(setting.cloud.provenance, host=platform.node())
    (tmp_path / "d.json").write_text(replace(setting.cloud, provenance=made).to_json())
    return tmp_path


def _profile(folder: Path, *words: str) -> str:
    measured = () if "--like" in words else ("--budget", "0.1s")
    done = CliRunner().invoke(app, ["profile", *words, *measured])
    if done.exception is not None:
        raise done.exception
    return done.stdout


def _scaled(known: DeviceProfile) -> DeviceProfile:
    return replace(known, provenance=replace(known.provenance, scaled_from="cloud, to 2e+10 FLOP/s"))


def _elsewhere(known: DeviceProfile) -> DeviceProfile:
    return replace(known, provenance=replace(known.provenance, host="another-host"))


def _threads(known: DeviceProfile) -> DeviceProfile:
    return replace(known, threads=4)


def _gpu(known: DeviceProfile) -> DeviceProfile:
    return replace(known, device="cuda")


def _engine(known: DeviceProfile) -> DeviceProfile:
    return replace(known, engine="onnxruntime")


def _slowed(known: DeviceProfile) -> DeviceProfile:
    return replace(known, slowdown=4.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_scaled, r"--output: .*d\.json was never measured: it is scaled from cloud, .*; write another file"),
        (_elsewhere, r"--output: .*d\.json was measured on another host, another-host \(got .*; write another file"),
        (_slowed, r"--output: .*d\.json is of an emulated device, 4 times as slow as this one; write another file"),
        (_threads, r"--threads: .*d\.json was measured with 4 threads \(got 1\); write .*, or use --threads 4"),
        (_gpu, r"--device: .*d\.json was measured on cuda \(got 'cpu'\); write .*, or use --device cuda"),
        (_engine, r"--engine: .*d\.json was measured on onnxruntime \(got 'eager'\); write .*, or use --engine"),
    ],
)
def test_times_of_unlike_machines_are_not_merged(folder: Path, change: Change, said: str) -> None:
    path = folder / "d.json"
    path.write_text(change(DeviceProfile.from_json(path.read_text())).to_json())
    before = path.read_text()
    with pytest.raises(InvalidInput, match=said) as refused:
        _profile(folder, str(folder / "model"), "-o", str(path))
    assert "\n" not in str(refused.value)
    assert path.read_text() == before


def test_times_of_this_machine_are_merged(folder: Path, model: Model) -> None:
    _profile(folder, str(folder / "model"), "-o", str(folder / "d.json"))
    merged = DeviceProfile.from_json((folder / "d.json").read_text())
    assert merged.has_op_times(model.digest)
    assert merged.provenance.torch_version == "2.13"  # what the file says of the device was not measured again


def test_hardware_that_one_does_not_have_keeps_its_own_power_and_price(folder: Path, setting: Setting) -> None:
    power, price = Power(5.0, 1.0, 2.0, "declared"), Price(0.001, "declared")
    like = ["--like", str(folder / "d.json"), "--peak", "20gflops", "--memory", "5GB/s"]
    (folder / "d.json").write_text(replace(setting.cloud, power=power).to_json())
    camera = folder / "camera.json"
    _profile(folder, *like, "-o", str(camera))
    assert DeviceProfile.from_json(camera.read_text()).power is None
    camera.write_text(replace(DeviceProfile.from_json(camera.read_text()), price=price).to_json())
    _profile(folder, *like, "-o", str(camera))
    known = DeviceProfile.from_json(camera.read_text())
    assert (known.power, known.price) == (None, price)


def test_a_device_that_was_measured_on_a_busy_machine_stays_so_and_the_remedy_is_said(folder: Path) -> None:
    path = folder / "d.json"
    known = DeviceProfile.from_json(path.read_text())
    path.write_text(replace(known, provenance=replace(known.provenance, noisy=True)).to_json())
    said = _profile(folder, str(folder / "model"), "-o", str(path))
    assert "noisy: measure again on a quiet machine, first without MODEL" in said.splitlines()[0]
    assert DeviceProfile.from_json(path.read_text()).provenance.noisy
