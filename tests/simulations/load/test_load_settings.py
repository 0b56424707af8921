"""Settings and inputs of a load."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from isthmus.errors import InvalidConfiguration, InvalidInput
from simulations.load.load_inputs import read_inputs
from simulations.load.load_settings import LOCUST_FILE, LoadSettings


@pytest.mark.parametrize(
    "settings",
    [LoadSettings("s.yaml"), LoadSettings("s.yaml", "shop", ("a.jpg", "b"), ("ca.pem", "cert.pem", "key.pem"))],
)
def test_the_environment_carries_all_of_them(settings: LoadSettings) -> None:
    assert LoadSettings.from_environment(settings.to_environment()) == settings


def test_what_a_caller_exported_does_not_stay() -> None:
    given = LoadSettings("s.yaml")
    exported = {
        "ISTHMUS_SCENARIO": "other.yaml", "ISTHMUS_EDGE": "shed", "ISTHMUS_INPUT": "nowhere.jpg",
        "ISTHMUS_TLS_AUTHORITY": "ca.pem", "ISTHMUS_TLS_CERTIFICATE": "cert.pem", "ISTHMUS_TLS_KEY": "key.pem",
    }  # fmt: skip
    assert LoadSettings.from_environment({**exported, **given.to_environment()}) == given


def test_without_a_scenario_there_is_no_load() -> None:
    with pytest.raises(InvalidConfiguration, match="ISTHMUS_SCENARIO"):
        LoadSettings.from_environment({})


def test_the_locust_file_is_where_it_is_said_to_be() -> None:
    assert LOCUST_FILE.is_file()


def test_files_are_sent_as_they_are_and_arrays_as_arrays(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"picture")
    np.save(tmp_path / "b.npy", np.ones(3))
    picture, array = read_inputs([tmp_path])
    assert picture == b"picture"
    assert isinstance(array, np.ndarray)
    assert array.tolist() == [1, 1, 1]
    assert read_inputs([tmp_path / "a.jpg"]) == (b"picture",)


@pytest.mark.parametrize("name", ["nothing", "empty", "bad.npy"])
def test_an_input_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.npy").write_bytes(b"no array")
    with pytest.raises(InvalidInput, match="--input"):
        read_inputs([tmp_path / name])
