"""The Grafana dashboards are what their source says, ask for what a real scrape has, and lie on the grid."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest

from tests.nodes.metrics.scrapes import Scrapes
from tests.nodes.metrics.test_documents import NAME, sample_names

FOLDER = Path(__file__).parents[3] / "deploy/grafana"
FILES = sorted(FOLDER.glob("*.json"))
UNITS = {"s", "bps", "bytes", "reqps", "ops", "percentunit", "none"}


def dashboard(path: Path) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(path.read_text())
    return made


def graphs(path: Path) -> list[dict[str, Any]]:
    return [panel for panel in dashboard(path)["panels"] if panel["type"] != "row"]


def queries(path: Path) -> Iterator[tuple[str, str]]:
    """Expressions, as Prometheus gets them, and legends."""
    for panel in graphs(path):
        for target in panel["targets"]:
            expr = target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")
            yield expr, target["legendFormat"]


def test_the_files_are_what_their_source_makes() -> None:
    source = runpy.run_path(str(FOLDER / "dashboards.py"))
    made = {name: source["to_json"](one) for name, one in source["DASHBOARDS"].items()}
    assert made == {path.name: path.read_text() for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_expression_is_promql_over_metrics_of_a_scrape(path: Path, scrapes: Scrapes) -> None:
    there = sample_names(scrapes)
    for expr, _ in queries(path):
        promql_parser.parse(expr)
        named = set(NAME.findall(expr))
        assert named, expr
        assert named <= there


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_legend_names_only_labels_that_its_expression_keeps(path: Path) -> None:
    for expr, legend in queries(path):
        kept = {label.strip() for group in re.findall(r"sum by \(([^)]*)\)", expr) for label in group.split(",")}
        if kept:
            assert set(re.findall(r"{{(\w+)}}", legend)) <= kept - {"le"}, (expr, legend)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_graphs_have_units_words_and_places_of_their_own(path: Path) -> None:
    cells: set[tuple[int, int]] = set()
    for panel in graphs(path):
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert panel["description"].endswith((".", "?"))
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in own) < 24
        assert not own & cells
        cells |= own
    ids = [panel["id"] for panel in dashboard(path)["panels"]]
    assert len(set(ids)) == len(ids)
