"""The alert rules, by Prometheus' own tool: each fires when it shall, and not otherwise."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs promtool: apt-get install prometheus"
)


def _promtool(*words: str) -> str:
    done = subprocess.run(["promtool", *words], cwd=FOLDER, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_promtool
def test_the_rules_are_sound() -> None:
    assert "SUCCESS" in _promtool("check", "rules", "rules.yaml")


@needs_promtool
@pytest.mark.parametrize("name", ["prometheus.yaml", "kubernetes.yaml"])
def test_scrape_configurations_are_read(tmp_path: Path, name: str) -> None:
    # Debian's promtool is built without Kubernetes.
    text = (FOLDER / name).read_text().replace("kubernetes_sd_configs: [{role: pod}]", "static_configs: []")
    (tmp_path / name).write_text(text)
    shutil.copy(FOLDER / "rules.yaml", tmp_path)
    assert "SUCCESS" in _promtool("check", "config", "--syntax-only", str(tmp_path / name))


@needs_promtool
def test_every_alert_fires_when_it_shall() -> None:
    assert "SUCCESS" in _promtool("test", "rules", "rules_test.yaml")


def test_every_alert_has_a_test_that_sees_it_fire() -> None:
    rules = yaml.safe_load((FOLDER / "rules.yaml").read_text())
    tests = yaml.safe_load((FOLDER / "rules_test.yaml").read_text())["tests"]
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    seen = {alert for alert in alerts for test in tests for one in test["promql_expr_test"]
            if f'alertname="{alert}"' in one["expr"] and one["exp_samples"]}  # fmt: skip
    assert seen == alerts
