"""What the locust file makes of what its generator says, in a process of its own: locust patches sockets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from simulations.load.lateness import LatenessSummary
from simulations.load.load_settings import LoadSettings
from tests.simulations.fleet_files import scenario_file

pytestmark = pytest.mark.skipif(find_spec("locust") is None, reason="locust is not installed")

COUNT = """
import json, sys
from locust.env import Environment
from simulations.load import locustfile
environment = Environment()
environment.create_local_runner()
load = locustfile.Load.__new__(locustfile.Load)
load._environment = environment
for took_s in json.loads(sys.argv[1]):
    load._report({"client": "cameras", "took_s": took_s, "error": "not sent" if took_s is None else ""})
mine = environment.stats.get("cameras", "infer")
median_ms = mine.get_response_time_percentile(0.5)
print(json.dumps([mine.num_requests, mine.num_failures, median_ms, mine.min_response_time]))
"""
JUDGE = """
import json, sys
from types import SimpleNamespace
from simulations.load import locustfile
environment = SimpleNamespace(process_exit_code=None)
locustfile._judge(environment, json.loads(sys.argv[1]))
print(environment.process_exit_code)
"""


@pytest.mark.parametrize(
    ("unsent", "late", "exit_code", "words"),
    [
        (0, 2, "1", "THE GENERATOR COULD NOT KEEP ITS RATE"),
        (1, 0, "1", "1 did not leave at all"),
        (0, 1, "None", ""),
    ],
)
def test_a_generator_that_was_late_fails_the_load(
    tmp_path: Path, unsent: int, late: int, exit_code: str, words: str
) -> None:
    summary = LatenessSummary(100, unsent, late, 0.0001, 0.02, 0.03, None)
    settings = LoadSettings(str(scenario_file(tmp_path)))
    command = [sys.executable, "-c", JUDGE, json.dumps(summary.to_json())]
    environment = {**os.environ, **settings.to_environment()}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == f"{exit_code}\n", done.stderr
    assert words in done.stderr


def test_requests_that_never_left_are_counted_and_have_no_time(tmp_path: Path) -> None:
    settings = LoadSettings(str(scenario_file(tmp_path)))
    command = [sys.executable, "-c", COUNT, json.dumps([0.2, None, 0.2, None, None, 0.4])]
    environment = {**os.environ, **settings.to_environment()}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [6, 3, 200, 200]
