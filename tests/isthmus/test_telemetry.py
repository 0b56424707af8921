"""What processes write."""

from __future__ import annotations

import json

import pytest

from isthmus.telemetry import LogForm, LogSettings, get_logger


def written(settings: LogSettings, capsys: pytest.CaptureFixture[str]) -> list[str]:
    settings.configure()
    log = get_logger("edge")
    log.info("measured", plans=3)
    log.warning("registry does not answer", registry="127.0.0.1:1")
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("form", ["auto", "json"])  # here standard error is no terminal
def test_a_line_is_one_json_object(form: LogForm, capsys: pytest.CaptureFixture[str]) -> None:
    [line] = written(LogSettings("warning", form), capsys)
    said = json.loads(line)
    assert said.pop("timestamp").endswith("Z")
    assert said == {
        "event": "registry does not answer",
        "level": "warning",
        "component": "edge",
        "registry": "127.0.0.1:1",
    }


def test_the_level_decides_what_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(written(LogSettings("info", "json"), capsys)) == 2
    assert written(LogSettings("error", "json"), capsys) == []


def test_for_people_a_line_is_no_json_and_without_colours_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    [line] = written(LogSettings("warning", "console"), capsys)
    assert "registry does not answer" in line
    assert not line.startswith("{")
    assert "\x1b" not in line
