"""Policies by name."""

from __future__ import annotations

import json
import sys
import zlib
from pathlib import Path
from random import Random

import pytest

from isthmus.errors import InvalidConfiguration, InvalidInput, InvalidRequest, NotFound
from nodes.chooser import Choice, ChoiceRequest
from partitioner.link import Link
from partitioner.measurements import Power, Price, Provenance
from partitioner.profiles import DeviceProfile
from scheduler.policies.base import Policy
from scheduler.policies.factory import checked_options, configured_policy, module_file, named_policy
from scheduler.policies.fixed import FixedPolicy
from scheduler.policies.latency import LatencyPolicy

OWN = """
from pydantic import BaseModel

class PatientOptions(BaseModel):
    patience: int = 1

class Patient:
    Options = PatientOptions
    def __init__(self, options):
        self.options = options
    def choose(self, request, link, rng):
        raise NotImplementedError
"""


TAKING = """
from pathlib import Path
from typing import Annotated, Any
from pydantic import AfterValidator, BaseModel, Field, PlainSerializer

class Options(BaseModel, extra="forbid"):
    within: {kind}

class Taking:
    Options = Options
    def __init__(self, options):
        self.within = options.within
    def choose(self, request, link, rng):
        raise NotImplementedError
"""
IN_SECONDS = "AfterValidator(lambda ms: ms / 1000)"


def taking(folder: Path, kind: str) -> str:
    """A policy in that folder whose only option is of that kind: its name."""
    module = f"taking_{zlib.crc32(kind.encode())}"
    (folder / f"{module}.py").write_text(TAKING.format(kind=kind))
    return f"{module}:Taking"


def declared(**facts: object) -> DeviceProfile:
    taken = Provenance("2026-01-01", "here", "2.6", 0.0, False, "system")
    return DeviceProfile("cpu", "device", 1, 1.0, {"float32": 1e9}, 1e9, 0.0, {}, taken, **facts)  # type: ignore[arg-type]


class OwnPolicy:
    """A policy as a user writes it."""

    def choose(self, request: ChoiceRequest, link: Link | None, rng: Random) -> Choice:
        """Never asked here."""
        raise NotImplementedError


class NoPolicy:
    """Lacks the method."""


@pytest.mark.parametrize("name", ["latency", "edge-only", "cloud-only", "fixed:split", "fixed:0123456789abcdef"])
def test_the_built_in_names_are_policies(name: str) -> None:
    assert isinstance(named_policy(name), Policy)


def test_latency_is_the_latency_policy() -> None:
    assert type(named_policy("latency")) is LatencyPolicy
    assert type(configured_policy("fixed:split")) is FixedPolicy


@pytest.mark.parametrize("name", ["quickest", "", "fixed:"])
def test_an_unknown_name_lists_the_choices(name: str) -> None:
    with pytest.raises(NotFound, match="cloud-only, cost, edge-only, energy, fixed:PLAN, latency, random, slo, throug"):
        named_policy(name)


@pytest.mark.parametrize("name", ["energy", "cost", "fixed"])
def test_a_request_cannot_name_a_policy_that_needs_options(name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"isthmus_policy: needs options: .* configure it on the edge"):
        named_policy(name)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("latency", {"switch_cost": "2ms"}),
        ("throughput", {}),
        ("energy", {"busy": "5W", "idle": "800mW", "radio": 2}),
        ("cost", {"price": "0.9/h", "switch_cost": "1ms"}),
        ("slo", {"probability": 0.99, "deadline": "200ms"}),
        ("random", {"seed": 7, "weights": {"split": 2, "edge-only": 1}}),
        ("fixed", {"plan": "split"}),
        ("fixed:split", {}),
        ("edge-only", {}),
    ],
)
def test_options_are_read_as_people_write_them_and_read_back_from_plain_data(
    name: str, options: dict[str, object]
) -> None:
    checked = checked_options(name, options)
    again = json.loads(json.dumps(checked))
    assert checked_options(name, again) == checked
    assert isinstance(configured_policy(name, again), Policy)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        (
            "latency",
            {"switch_cost": "soon"},
            r"policy.switch_cost: is not a quantity \(got 'soon'\); write it like 30ms",
        ),
        ("latency", {"swich_cost": 1}, r"policy.swich_cost: is no option \(got 1\); there are: switch_cost"),
        ("edge-only", {"plan": "x"}, r"policy.plan: is no option \(got 'x'\); the policy takes none"),
        ("energy", {"busy": "5W", "idle": "1W"}, r"policy.radio: is missing \(on top, while bytes move\)"),
        ("energy", {"busy": "1W", "idle": "5W", "radio": "1W"}, r"policy.busy: is below idle, 5 W \(got 1.0\)"),
        ("energy", {"busy": -1, "idle": 0, "radio": 0}, r"policy.busy: must be finite and not negative \(got -1\)"),
        ("energy", {"profile": "none.json"}, r"policy.profile: cannot be read \(got .*none.json'\)"),
        ("cost", {"price": "9 apples"}, "policy.price: .*apples"),
        ("slo", {"probability": 1.5}, r"policy.probability: Input should be less than 1 \(got 1.5\)"),
        ("random", {"weights": {"split": -1}}, r"policy.weights.split: .*\(got -1\)"),
        ("random", {"weights": 3}, r"policy.weights: .*\(got 3\)"),
        ("fixed", {"plan": ""}, "policy.plan: "),
    ],
)
def test_an_option_that_cannot_be_is_named_with_its_value_and_a_remedy(
    name: str, options: dict[str, object], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        configured_policy(name, options)
    assert "\n" not in str(caught.value)


def test_watts_and_price_come_from_declared_profiles(tmp_path: Path) -> None:
    (tmp_path / "edge.json").write_text(declared(power=Power(5.0, 1.0, 2.0, "declared")).to_json())
    (tmp_path / "cloud.json").write_text(declared(price=Price(0.25, "declared")).to_json())
    watts = checked_options("energy", {"profile": "edge.json", "radio": "3W"}, str(tmp_path))
    assert watts == {"switch_cost": 0.0, "busy": 5.0, "idle": 1.0, "radio": 3.0}
    assert checked_options("cost", {"profile": "cloud.json"}, str(tmp_path))["price"] == 0.25


@pytest.mark.parametrize("name", ["energy", "cost"])
def test_a_profile_that_declares_nothing_is_refused_with_the_command_that_does(tmp_path: Path, name: str) -> None:
    (tmp_path / "device.json").write_text(declared().to_json())
    with pytest.raises(InvalidConfiguration, match=r"policy.profile: declares no .*isthmus declare"):
        checked_options(name, {"profile": "device.json"}, str(tmp_path))


def test_a_configuration_may_name_a_class() -> None:
    assert isinstance(configured_policy("scheduler.policies.latency:LatencyPolicy"), LatencyPolicy)


def test_a_request_may_not_have_a_class_imported() -> None:
    with pytest.raises(NotFound):
        named_policy("scheduler.policies.latency:LatencyPolicy")


@pytest.mark.parametrize("name", ["no.such.module:X", "scheduler.policies.latency:X", ":X", "..a:b"])
def test_a_class_that_cannot_be_imported_is_a_configuration_error(name: str) -> None:
    with pytest.raises(InvalidConfiguration, match=r"policy: cannot be imported.*module:Class"):
        configured_policy(name)


def test_a_class_beside_the_configuration_is_found_and_takes_its_own_options(tmp_path: Path) -> None:
    (tmp_path / "own_policy_beside.py").write_text(OWN)
    name = "own_policy_beside:Patient"
    assert checked_options(name, {"patience": "3"}, str(tmp_path)) == {"patience": 3}
    assert configured_policy(name, {"patience": 3}, str(tmp_path)).options.patience == 3  # type: ignore[attr-defined]
    with pytest.raises(InvalidConfiguration, match=r"policy.patience: .*\(got 'long'\)"):
        configured_policy(name, {"patience": "long"}, str(tmp_path))
    assert str(tmp_path) not in sys.path


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (f"Annotated[float, {IN_SECONDS}]", r"policy.within: is 0.0002 where .* reads it again, and was 0.2; have it"),
        ("float = Field(1.0, exclude=True)", r"policy.within: is 1.0 where .* and was 200.0"),
        ("Annotated[Any, AfterValidator(lambda given: object())]", r"policy: has options that are no plain data: "),
        (
            "Annotated[float, Field(lt=300), AfterValidator(lambda ms: ms * 2)]",
            "policy.within: cannot be read again on",
        ),
    ],
)
def test_an_option_that_would_be_another_one_on_the_edge_is_refused_by_name(
    tmp_path: Path, kind: str, said: str
) -> None:
    with pytest.raises(InvalidConfiguration, match=said) as caught:
        checked_options(taking(tmp_path, kind), {"within": 200}, str(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (f"Annotated[float, {IN_SECONDS}, PlainSerializer(lambda s: s * 1000)]", "within", 0.2),
        ("float = Field(alias='most')", "most", 200.0),
        ("Path = Path()", "within", Path("200")),
    ],
)
def test_options_that_read_back_equal_are_the_same_in_the_file_and_over_the_wire(
    tmp_path: Path, kind: str, name: str, value: object
) -> None:
    policy, given = taking(tmp_path, kind), {name: "200"}
    plain = json.loads(json.dumps(checked_options(policy, given, str(tmp_path))))
    for options in (plain, given):
        assert configured_policy(policy, options, str(tmp_path)).within == value  # type: ignore[attr-defined]


def test_a_missing_option_is_named_as_it_is_given(tmp_path: Path) -> None:
    policy = taking(tmp_path, "float = Field(alias='most', description='how much')")
    with pytest.raises(InvalidConfiguration, match=r"policy.most: is missing \(how much\)"):
        checked_options(policy, {}, str(tmp_path))
    with pytest.raises(InvalidConfiguration, match=r"policy.least: is no option .* there are: most"):
        checked_options(policy, {"most": 1, "least": 2}, str(tmp_path))


def test_a_validator_that_breaks_is_an_error_of_one_line(tmp_path: Path) -> None:
    policy = taking(tmp_path, "Annotated[str, AfterValidator(lambda name: {'fast': 1}[name])]")
    with pytest.raises(InvalidConfiguration, match=r"policy: cannot read its options: KeyError: 'slow' \(got 'taking_"):
        configured_policy(policy, {"within": "slow"}, str(tmp_path))


def test_a_class_that_cannot_be_made_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "own_policy_broken.py").write_text(
        "class Broken:\n    def __init__(self):\n        raise OSError('x')\n"
    )
    with pytest.raises(InvalidConfiguration, match="policy: cannot be made: x"):
        configured_policy("own_policy_broken:Broken", {}, str(tmp_path))


def test_a_script_that_ends_the_process_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "own_policy_that_is_a_script.py").write_text("raise SystemExit('usage: ...')\n")
    with pytest.raises(InvalidConfiguration, match=r"policy: cannot be imported: usage: \.\.\."):
        configured_policy("own_policy_that_is_a_script:Own", {}, str(tmp_path))


def test_a_class_without_the_method_is_refused() -> None:
    with pytest.raises(InvalidConfiguration, match="is not a policy"):
        configured_policy("collections:OrderedDict")


def test_the_contract_is_one_method() -> None:
    assert isinstance(OwnPolicy(), Policy)
    assert not isinstance(NoPolicy(), Policy)


def test_the_file_of_an_own_policy_is_found_beside_the_configuration_and_not_run(tmp_path: Path) -> None:
    source = tmp_path / "not_run_here.py"
    source.write_text("raise SystemExit\n")
    assert module_file("not_run_here:Policy", str(tmp_path)) == source


@pytest.mark.parametrize("name", ["latency", "fixed:split", "not_there_at_all:Policy", "not_there.at_all:P", ":P"])
def test_a_policy_without_a_module_of_its_own_has_no_file(name: str) -> None:
    assert module_file(name) is None
