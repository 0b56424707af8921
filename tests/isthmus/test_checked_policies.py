"""The policies of a configuration: which requests get which, and every mistake named by its key in the file."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from isthmus.checked_policies import checked_policies
from isthmus.configuration import Configuration
from isthmus.errors import InvalidConfiguration, NotFound
from nodes.configured_policies import ConfiguredPolicies
from nodes.steering import EVERYTHING, Scope


def configuration(model_policy: object = None, **sections: Any) -> Configuration:
    model = {"name": "net", "source": "a:b", "policy": model_policy}
    return Configuration.model_validate({"models": [model], **sections})


def test_each_scope_gets_its_policy_with_options_as_plain_data(tmp_path: Path) -> None:
    written = configuration(
        "edge-only", policy="throughput", request_classes={"alarm": {"name": "slo", "deadline": "2s"}}
    )
    made = checked_policies(written, tmp_path)
    names = {scope: one.name for scope, one in made.by_scope.items()}
    assert names == {EVERYTHING: "throughput", Scope("net"): "edge-only", Scope("", "alarm"): "slo"}
    assert made.by_scope[Scope("", "alarm")].options["deadline"] == 2.0
    assert ConfiguredPolicies.from_dict(json.loads(json.dumps(asdict(made)))) == made


def test_a_file_that_says_nothing_has_one_policy_for_all(tmp_path: Path) -> None:
    made = checked_policies(configuration(), tmp_path)
    assert [(one.scope, one.policy.name) for one in made.scoped] == [(EVERYTHING, "latency")]


def test_a_class_of_requests_may_have_a_policy_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "own_policy_of_a_class.py").write_text("class Own:\n    def choose(self, request, link, rng): ...\n")
    written = configuration(request_classes={"alarm": "own_policy_of_a_class:Own"})
    assert checked_policies(written, tmp_path).folder == str(tmp_path)
    with pytest.raises(InvalidConfiguration, match=r"request_classes.alarm: cannot be imported"):
        checked_policies(configuration(request_classes={"alarm": "no.such:Own"}), tmp_path)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"policy": {"name": "slo", "probability": 7}}, r"^policy\.probability: .*\(got 7\)"),
        ({"model_policy": {"name": "slo", "probability": 7}}, r"^models\.net\.policy\.probability: .*\(got 7\)"),
        ({"model_policy": {"name": "edge-only", "fast": 1}}, r"^models\.net\.policy\.fast: is no option"),
        ({"request_classes": {"alarm": {"name": "energy"}}}, r"^request_classes\.alarm\.(busy|idle|radio): is missing"),
        (
            {"request_classes": {"alarm": {"name": "cost", "profile": "x.json"}}},
            r"^request_classes\.alarm\.profile: can",
        ),
    ],
)
def test_an_option_that_cannot_be_is_named_by_its_key(tmp_path: Path, written: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidConfiguration, match=said):
        checked_policies(configuration(**written), tmp_path)


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ({"policy": "best"}, "policy: "),
        ({"model_policy": "best"}, "models.net.policy: "),
        ({"request_classes": {"alarm": "best"}}, "request_classes.alarm: "),
    ],
)
def test_an_unknown_policy_is_named_by_its_key(tmp_path: Path, written: dict[str, Any], key: str) -> None:
    with pytest.raises(NotFound, match=f"^{key}there is no 'best'; use one of "):
        checked_policies(configuration(**written), tmp_path)
