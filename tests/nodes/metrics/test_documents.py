"""The alert rules and the page on metrics name what a real scrape has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from tests.nodes.metrics.scrapes import Scrape, Scrapes

ROOT = Path(__file__).parents[3]
RULES = ROOT / "deploy/prometheus/rules.yaml"
PAGE = ROOT / "docs/metrics.md"
NAME = re.compile(r"\b(?:isthmus|process)_[a-z_]+[a-z]\b")
DURATION = re.compile(r"[1-9][0-9]*[smhd]")
ROW = re.compile(r"^\| `(?P<name>[a-z_]+)` \| (?P<type>[a-z]+) \| (?P<labels>.*) \| (?P<said>.+) \|$", re.MULTILINE)


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    assert group.keys() == {"name", "rules"}
    found: list[dict[str, Any]] = group["rules"]
    return found


def sample_names(scrapes: Scrapes) -> set[str]:
    """With the suffixes that are written in queries."""
    families = [*scrapes.edge.families, *scrapes.cloud.families]
    return {sample.name for family in families for sample in family.samples} | {"up"}


def rows(side: str) -> set[tuple[str, str, str, str]]:
    """The table of one side in the page: name, type, labels, what it is."""
    section = PAGE.read_text().split(f"## {side}\n")[1].split("\n## ")[0]
    return {(row["name"], row["type"], row["labels"].replace("`", ""), row["said"]) for row in ROW.finditer(section)}


def described(scrape: Scrape) -> set[tuple[str, str, str, str]]:
    """What the table should hold."""
    found = set()
    for family in scrape.families:
        if not family.name.startswith("isthmus_"):
            continue
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        name = family.name + "_total" * (family.type == "counter")
        found.add((name, family.type, ", ".join(sorted(labels)), family.documentation))
    return found


def test_rules_have_the_structure_that_prometheus_reads() -> None:
    for rule in rules():
        assert rule.keys() - {"for"} == {"alert", "expr", "labels", "annotations"}
        assert re.fullmatch(r"Isthmus[A-Za-z]+", rule["alert"])
        assert DURATION.fullmatch(rule.get("for", "1m"))
        assert rule["labels"]["severity"] in ("page", "ticket")
    assert len({rule["alert"] for rule in rules()}) == len(rules())


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_expression_is_promql_and_compares(rule: dict[str, Any]) -> None:
    promql_parser.parse(rule["expr"])
    assert re.search(r" (>|<|==) [0-9.]+", re.sub(r'"[^"]*"', '""', rule["expr"]))


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_wrong_where_and_what_to_do(rule: dict[str, Any]) -> None:
    said = rule["annotations"]
    assert said.keys() == {"summary", "action"}
    assert re.search(r"\$labels\.(instance|job)", said["summary"])
    assert len(said["action"].split()) >= 15


def test_alerts_that_an_action_points_to_are_there() -> None:
    names = {rule["alert"] for rule in rules()}
    for rule in rules():
        assert set(re.findall(r"\bIsthmus[A-Z][A-Za-z]+", rule["annotations"]["action"])) <= names


def test_every_name_in_the_rules_is_in_a_scrape(scrapes: Scrapes) -> None:
    there = sample_names(scrapes)
    for rule in rules():
        named = set(NAME.findall(rule["expr"])) | set(re.findall(r"^up\b", rule["expr"]))
        assert named, rule["alert"]
        assert named <= there, rule["alert"]
        assert set(NAME.findall(rule["annotations"]["action"])) <= there | {one.rpartition("_")[0] for one in there}


def test_every_name_in_the_page_is_in_a_scrape(scrapes: Scrapes) -> None:
    there = sample_names(scrapes) | {one[0] for one in described(scrapes.edge) | described(scrapes.cloud)}
    assert set(NAME.findall(PAGE.read_text())) <= there


@pytest.mark.parametrize("side", ["edge", "cloud"])
def test_the_page_has_every_metric_as_it_is(scrapes: Scrapes, side: str) -> None:
    heading = {"edge": "Of an edge", "cloud": "Of a cloud replica"}[side]
    assert rows(heading) == described(getattr(scrapes, side))
