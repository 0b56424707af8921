"""`isthmus policy list`, with a policy that another package brings."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

PACKAGE = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "isthmus-patience"
version = "1"
[project.entry-points."isthmus.policies"]
patience = "isthmus_patience:Patience"
latency = "isthmus_patience:Patience"
broken = "isthmus_patience:Nothing"
"""
MODULE = """
from pydantic import BaseModel, Field

from scheduler.policies.forecast import forecast

class PatienceOptions(BaseModel):
    slack: float = Field(default=2.5, ge=1, description="how much slower than the quickest a plan may be")

class Patience:
    \"\"\"The slowest plan that is no more than so many times slower.\"\"\"
    Options = PatienceOptions

    def __init__(self, options):
        self.slack = options.slack

    def choose(self, request, link, rng):
        found = forecast(request, link)
        usable = found.usable()
        most_s = self.slack * min(found.total_s[n] for n in usable)
        return found.choice(max((n for n in usable if found.total_s[n] <= most_s), key=found.total_s.__getitem__))
"""
SERVES = """
import sys
from nodes.chooser import ChoiceRequest, Transfer
from scheduler.plan_chooser import PlanChooser
from tests.scheduler.conftest import DIGEST, make_entry
from partitioner.plan_table import PlanTable
plans = (make_entry(edge_s=0.1), make_entry("a", edge_s=0.05), make_entry("input", "raw", edge_s=0.01))
chooser = PlanChooser("patience", {"slack": float(sys.argv[1])})
for _ in range(3):
    chooser.observe_transfer(Transfer("up", 1_000_000, 0.1), 0.0)
choice = chooser.choose(ChoiceRequest(PlanTable("net", DIGEST, plans), "bytes", 1, policy=sys.argv[2]))
print(choice.entry.plan.kind)
"""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which a package with policies was installed."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    (source / "pyproject.toml").write_text(PACKAGE)
    (source / "isthmus_patience").mkdir()
    (source / "isthmus_patience" / "__init__.py").write_text(MODULE)
    how = ["--no-build-isolation", "--no-deps", "--no-index", "--quiet", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip", "install", *how, "--target", str(target), str(source)]
    done = subprocess.run(pip, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode and "hatchling" in done.stderr:
        _install_by_hand(source, target)
    else:
        assert done.returncode == 0, done.stderr
    return target


def _install_by_hand(source: Path, target: Path) -> None:
    """What pip writes, for where the build backend is not installed."""
    (source / "isthmus_patience").rename(target / "isthmus_patience")
    info = target / "isthmus_patience-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: isthmus-patience\nVersion: 1\n")
    points = PACKAGE.partition("entry-points")[2].splitlines()[1:]
    (info / "entry_points.txt").write_text("\n".join(["[isthmus.policies]", *points]).replace('"', "") + "\n")


def run(code: str, *words: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    start = f"import sys; sys.path.insert(0, {str(path)!r})\n" if path else ""
    command = [sys.executable, "-c", start + code, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def listed(path: Path | None = None) -> Mapping[str, dict[str, object]]:
    done = run("from isthmus.cli.main import main; main()", "policy", "list", "--json", path=path)
    assert done.returncode == 0, done.stderr
    return {one["name"]: one for one in json.loads(done.stdout)["policies"]}


def test_every_built_in_policy_is_listed_with_a_line_of_purpose_and_its_options() -> None:
    found = listed()
    built_in = {name: one for name, one in found.items() if one["origin"] == "built in"}
    assert list(built_in) == [
        "cloud-only", "cost", "edge-only", "energy", "fixed", "latency", "random", "slo", "throughput",
    ]  # fmt: skip
    assert all(one["purpose"] and "\n" not in str(one["purpose"]) for one in built_in.values())
    assert built_in["slo"]["options"] == {
        "switch_cost": "what the first request after a switch takes besides, 0.0 by default",
        "probability": "of meeting the deadline, at least, 0.95 by default",
        "deadline": "for every request, besides its own, none by default",
    }
    assert str(built_in["energy"]["options"]).count("required") == 3


def test_the_list_loads_neither_torch_nor_ray_nor_grpc() -> None:
    code = (
        "import sys\nfrom isthmus.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'ray', 'grpc'} & set(sys.modules)))"
    )
    done = run(code, "policy", "list")
    assert done.stdout.splitlines()[-1] == "[]"
    assert "slo: The cheapest plan" in done.stdout


def test_a_policy_of_another_package_is_listed_with_its_options(elsewhere: Path) -> None:
    found = listed(elsewhere)
    assert found["patience"] == {
        "name": "patience",
        "origin": "isthmus-patience",
        "purpose": "The slowest plan that is no more than so many times slower.",
        "options": {"slack": "how much slower than the quickest a plan may be, 2.5 by default"},
    }
    assert found["latency"]["origin"] == "built in"


def test_one_that_cannot_be_loaded_says_why_and_hides_no_other(elsewhere: Path) -> None:
    assert "cannot be imported" in str(listed(elsewhere)["broken"]["purpose"])


@pytest.mark.parametrize(("slack", "kind"), [("1", "cloud-only"), ("2.5", "split"), ("9", "edge-only")])
def test_it_serves_choices_by_configuration(elsewhere: Path, slack: str, kind: str) -> None:
    done = run(SERVES, slack, "", path=elsewhere)
    assert done.stdout.strip() == kind, done.stderr


def test_it_serves_requests_that_name_it(elsewhere: Path) -> None:
    code = SERVES.replace('PlanChooser("patience", {"slack": float(sys.argv[1])})', "PlanChooser()")
    assert run(code, "", "patience", path=elsewhere).stdout.strip() == "split"


def test_bad_options_of_it_are_refused_in_the_same_words(elsewhere: Path) -> None:
    said = run(SERVES, "0.5", "", path=elsewhere).stderr.strip().splitlines()[-1]
    assert "policy.slack: Input should be greater than or equal to 1 (got 0.5)" in said
