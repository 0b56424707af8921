"""`isthmus fit-link`: the model that it writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from isthmus.cli.main import app
from isthmus.errors import InvalidConfiguration, InvalidInput, InvalidQuantity
from simulations.markov_link import read_markov_link

RECORDED = "time_s,up_mbps,down_mbps\n0,1,10\n1,1,10\n2,5,50\n3,5,50\n"


def run(folder: Path, *arguments: str, recorded: str = RECORDED) -> str:
    (folder / "link.csv").write_text(recorded)
    done = CliRunner().invoke(app, ["fit-link", str(folder / "link.csv"), *arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


@pytest.mark.parametrize(("direction", "levels_bps"), [("up", (1e6, 5e6)), ("down", (1e7, 5e7))])
def test_the_model_of_each_way_is_written_and_told(
    tmp_path: Path, direction: str, levels_bps: tuple[float, ...]
) -> None:
    output = tmp_path / "model.json"
    said = run(tmp_path, "-o", str(output), "--direction", direction, "--states", "2")
    model = read_markov_link(output)
    assert model.bandwidths_bps == pytest.approx(levels_bps)
    assert model.fitted_to == f"link.csv, {direction}"
    assert "2 levels in steps of 1 s" in said
    assert "50% of the time, stays with 50%" in said


def test_each_level_is_told_with_how_likely_it_stays(tmp_path: Path) -> None:
    peak = "time_s,up_mbps\n0,1\n1,1\n2,1\n3,5\n"
    said = run(tmp_path, "-o", str(tmp_path / "model.json"), "--states", "4", recorded=peak)
    assert "75% of the time, stays with 67%" in said
    assert "25% of the time, stays with 0%" in said


def test_the_model_is_printed_as_json(tmp_path: Path) -> None:
    said = json.loads(run(tmp_path, "-o", str(tmp_path / "model.json"), "--step", "2s", "--json"))
    assert (said["step_s"], said["bandwidths_bps"]) == (2.0, pytest.approx([1e6, 5e6]))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("-o", "no/model"), InvalidInput, "-o"),
        (("-o", "model", "--step", "0s"), InvalidQuantity, "--step: must be above zero"),
        (("-o", "model", "--step", "1h"), InvalidConfiguration, "steps"),
        (("-o", "model", "--step", "often"), InvalidQuantity, "--step"),
    ],
)
def test_what_cannot_be_fitted_is_refused(
    tmp_path: Path, arguments: tuple[str, ...], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        run(tmp_path, *arguments)


def test_a_model_without_a_state_is_refused_by_its_option(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["fit-link", str(tmp_path / "link.csv"), "-o", "model", "--states", "0"])
    assert done.exit_code == 2
    assert "--states" in done.output
