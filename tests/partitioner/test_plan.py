"""Plans as data: digests, round trips, tampering."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import InvalidPlan
from partitioner.plan import Plan, Prediction, TensorCodec

_NAMES = st.text(min_size=1, max_size=8)
_TENSORS = st.lists(
    st.builds(TensorCodec, _NAMES, _NAMES, st.dictionaries(_NAMES, _NAMES, max_size=2), st.integers(0, 10**9)),
    max_size=3,
).map(tuple)
_SECONDS = st.floats(0, 1e6)
_PLANS = st.builds(
    Plan,
    model=_NAMES,
    model_digest=_NAMES,
    form=st.sampled_from(["tensor", "bytes"]),
    edge_ops=st.lists(_NAMES, unique=True, max_size=4).map(tuple),
    boundary=_TENSORS,
    downlink=_TENSORS,
    kept=st.lists(_NAMES, max_size=2).map(tuple),
    predicted=st.none() | st.builds(Prediction.of, *[_SECONDS] * 5),
    provenance=st.dictionaries(_NAMES, _NAMES, max_size=2),
)


@pytest.fixture
def plan() -> Plan:
    return Plan("m", "d1", "tensor", ("a", "b"), (TensorCodec("y", "zstd", {"level": "3"}, 7),), (), ("k",))


@given(_PLANS)
def test_json_reads_back_equal(plan: Plan) -> None:
    again = Plan.from_json(plan.to_json())
    assert (again, again.plan_id, again.wire_digest) == (plan, plan.plan_id, plan.wire_digest)


def test_the_order_of_edge_ops_and_parameters_is_not_in_the_digest(plan: Plan) -> None:
    tensors = [TensorCodec("y", "c", dict(pairs)) for pairs in ([("a", "1"), ("b", "2")], [("b", "2"), ("a", "1")])]
    one, other = (replace(plan, boundary=(t,)) for t in tensors)
    assert one.wire_digest == replace(other, edge_ops=("b", "a")).wire_digest


@pytest.mark.parametrize(
    "change",
    [
        {"model_digest": "d2"},
        {"edge_ops": ("a",)},
        {"boundary": (TensorCodec("y", "raw"),)},
        {"boundary": (TensorCodec("y", "zstd", {"level": "4"}, 7),)},
        {"downlink": (TensorCodec("z", "raw"),)},
    ],
)
def test_what_both_sides_must_agree_on_changes_the_wire_digest(plan: Plan, change: dict[str, object]) -> None:
    assert replace(plan, **change).wire_digest != plan.wire_digest  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change", [{"provenance": {"x": "y"}}, {"predicted": Prediction.of(1, 0, 0, 0)}, {"model": "n"}]
)
def test_what_only_describes_changes_no_digest(plan: Plan, change: dict[str, object]) -> None:
    assert replace(plan, **change).plan_id == plan.plan_id  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [{"cloud_engine": "onnxruntime"}, {"edge_engine": "x"}, {"form": "bytes"}])
def test_an_engine_or_the_input_form_changes_the_plan_id_alone(plan: Plan, change: dict[str, object]) -> None:
    other = replace(plan, **change)  # type: ignore[arg-type]
    assert (other.wire_digest, other.plan_id == plan.plan_id) == (plan.wire_digest, False)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("edge_ops", ["a"]),
        ("model_digest", "x"),
        ("edge_engine", "other"),
        ("plan_id", "0" * 16),
        ("wire_digest", None),
    ],
)
def test_a_plan_that_was_tampered_with_is_refused(plan: Plan, key: str, value: object) -> None:
    data = json.loads(plan.to_json()) | {key: value}
    with pytest.raises(InvalidPlan, match="does not match"):
        Plan.from_json(json.dumps(data))


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"model": 1}', "[" * 100_000])
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(InvalidPlan):
        Plan.from_json(text)


def test_an_unknown_key_is_refused_by_name(plan: Plan) -> None:
    with pytest.raises(InvalidPlan, match=r"plan\.extra"):
        Plan.from_json(json.dumps(json.loads(plan.to_json()) | {"extra": 1}))


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1.0])
def test_a_stage_that_is_no_duration_is_refused(seconds: float) -> None:
    with pytest.raises(InvalidPlan, match="no duration"):
        Prediction.of(0.0, seconds, 0.0, 0.0)


def test_a_total_that_is_not_the_sum_is_refused() -> None:
    with pytest.raises(InvalidPlan, match="sum"):
        Prediction(1.0, 1.0, 1.0, 1.0, 5.0)


def test_a_plan_written_before_predictions_had_an_overhead_still_reads(plan: Plan) -> None:
    predicted = Prediction.of(1.0, 2.0, 3.0, 4.0)
    data = json.loads(replace(plan, predicted=predicted).to_json())
    del data["predicted"]["overhead_s"]
    assert Plan.from_json(json.dumps(data)).predicted == predicted


def test_kinds_are_told_by_what_crosses(plan: Plan) -> None:
    assert plan.kind == "split"
    assert replace(plan, edge_ops=()).kind == "cloud-only"
    assert replace(plan, boundary=()).kind == "edge-only"
