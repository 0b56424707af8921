"""What the process that sends a load says, and what is said of it when it dies."""

from __future__ import annotations

from pathlib import Path

from simulations.load.generator_process import GeneratorProcess, messages_of
from simulations.load.load_settings import LoadSettings


def test_a_generator_that_is_killed_is_a_fault() -> None:
    generator = GeneratorProcess(LoadSettings("s.yaml"), "127.0.0.1:1")
    generator.kill()
    (said,) = generator.messages()
    assert "the load generator died (by SIGKILL)" in said["fault"]


def test_its_own_reason_is_the_only_one(tmp_path: Path) -> None:
    generator = GeneratorProcess(LoadSettings(str(tmp_path / "nothing.yaml")), "127.0.0.1:1")
    (said,) = generator.messages()
    assert "nothing.yaml" in said["fault"]
    assert "died" not in said["fault"]


def test_a_line_that_was_cut_short_is_no_message() -> None:
    assert list(messages_of(['{"ready": true}\n', '{"clie'])) == [{"ready": True}]
