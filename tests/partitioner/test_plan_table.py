"""What a plan costs for a batch, a file and a link, and finding plans."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import InvalidPlan, NotFound
from partitioner.link import Link
from partitioner.measurements import AffineTime
from partitioner.plan import InputForm, Plan, TensorCodec
from partitioner.plan_table import Accuracy, Correction, Curve, EngineDifference, PlanCosts, PlanEntry, PlanTable

_TIMES = st.builds(AffineTime, st.floats(0, 10), st.floats(0, 10))
_CURVE = st.dictionaries(st.integers(1, 1024), st.floats(0, 1e6), max_size=4).map(
    lambda one: tuple(sorted(one.items()))
)
_COSTS = st.builds(
    PlanCosts,
    _TIMES,
    _TIMES,
    st.integers(0, 10**6),
    st.floats(0, 1e6),
    st.integers(0, 10**6),
    st.floats(0, 1e6),
    _TIMES,
    st.floats(0, 1),
    st.floats(0, 1),
    _CURVE,
    _CURVE,
)
_ACCURACY = st.none() | st.builds(Accuracy, st.just("cosine"), st.floats(0, 1), st.integers(1, 99))


def _plan(edge_ops: tuple[str, ...], form: InputForm = "tensor", digest: str = "d") -> Plan:
    return Plan("m", digest, form, edge_ops, (TensorCodec("x", "raw"),) if edge_ops != ("all",) else (), (), ())


def _entry(plan: Plan, *, file_crosses: bool = False) -> PlanEntry:
    costs = PlanCosts(AffineTime(1, 2), AffineTime(3, 4), 100, 50.0, 10, 5.0, AffineTime(0, 9))
    return PlanEntry(plan, costs, file_crosses)


def test_stages_are_affine_in_the_batch_and_sum_up() -> None:
    p = _entry(_plan(())).predict(2, 0, Link(800, 80, 0.5))
    assert (p.edge_s, p.uplink_s, p.cloud_s, p.downlink_s) == (5, 2.25, 11, 2.25)
    assert p.total_s == 20.5


def test_edge_only_does_not_touch_the_link() -> None:
    p = _entry(_plan(("all",))).predict(1, 10**6, Link(1, 1, 9))
    assert (p.uplink_s, p.cloud_s, p.downlink_s, p.total_s) == (0, 0, 0, 3)


def test_what_a_request_costs_besides_adds_to_every_plan_and_to_no_other_stage() -> None:
    for edge_ops in (("all",), ()):
        entry = _entry(_plan(edge_ops))
        bare, whole = (
            entry.predict(1, 0, Link(800, 80, 0.5), Correction(overhead_s=c), o) for c, o in ((0, 0), (1, 2))
        )
        assert whole == replace(bare, overhead_s=3.0, total_s=bare.total_s + 3.0)


def test_a_crossing_file_adds_its_own_length() -> None:
    assert _entry(_plan(()), file_crosses=True).uplink_bytes(2, 1000) == 1200
    assert _entry(_plan(())).uplink_bytes(2, 1000) == 200


def test_entries_are_found_by_form_and_id() -> None:
    tensor, file = _entry(_plan(("a",))), _entry(_plan((), "bytes"))
    table = PlanTable("m", "d", (tensor, file))
    assert (table.for_form("bytes"), table.by_id(tensor.plan.plan_id)) == ((file,), tensor)


def test_an_unknown_id_is_not_found() -> None:
    with pytest.raises(NotFound, match="nope"):
        PlanTable("m", "d", ()).by_id("nope")


def test_a_plan_given_twice_is_refused() -> None:
    with pytest.raises(InvalidPlan, match="twice"):
        PlanTable("m", "d", (_entry(_plan(())), _entry(_plan(()))))


def test_a_plan_of_another_model_is_refused() -> None:
    with pytest.raises(InvalidPlan, match="another model"):
        PlanTable("m", "d", (_entry(_plan((), digest="other")),))


@given(_COSTS, _ACCURACY, st.booleans())
def test_json_reads_back_equal(costs: PlanCosts, accuracy: Accuracy | None, file_crosses: bool) -> None:
    table = PlanTable("m", "d", (PlanEntry(_plan(("a",)), costs, file_crosses, accuracy),))
    assert PlanTable.from_json(table.to_json()) == table


def test_a_table_without_spreads_is_read_as_one_that_does_not_say() -> None:
    table = PlanTable("m", "d", (_entry(_plan(("a",))),))
    data = json.loads(table.to_json())
    for name in ("edge_spread", "cloud_spread"):
        del data["entries"][0]["costs"][name]
    assert PlanTable.from_json(json.dumps(data)) == table


def test_a_table_without_curves_is_read_as_one_that_measured_none() -> None:
    table = PlanTable("m", "d", (_entry(_plan(("a",))),))
    data = json.loads(table.to_json())
    for name in ("prefix_s", "suffix_s"):
        del data["entries"][0]["costs"][name]
    assert PlanTable.from_json(json.dumps(data)) == table


@pytest.mark.parametrize(
    ("curve", "fault"),
    [
        (((0, 1.0),), "sizes that do not rise"),
        (((2, 1.0), (1, 1.0)), "sizes that do not rise"),
        (((1, 1.0), (1, 1.0)), "sizes that do not rise"),
        (((1, -1.0),), "no time"),
        (((1, math.nan),), "no time"),
    ],
)
def test_a_curve_that_cannot_be_is_refused(curve: Curve, fault: str) -> None:
    with pytest.raises(InvalidPlan, match=f"suffix_s: .*{fault}"):
        replace(_entry(_plan(("a",))).costs, suffix_s=curve)


@pytest.mark.parametrize("spread", [-0.1, math.nan, math.inf])
def test_a_spread_that_is_no_share_is_refused(spread: float) -> None:
    with pytest.raises(InvalidPlan, match="cloud_spread: is no share"):
        replace(_entry(_plan(("a",))).costs, cloud_spread=spread)


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(InvalidPlan, match="plan table"):
        PlanTable.from_json('{"model": "m"}')


def test_what_two_engines_lose_adds_up() -> None:
    first = EngineDifference(max_abs=0.1, cosine=0.99, top1_agreement=0.9, n=8, calibrated=True)
    both = first.plus(EngineDifference(max_abs=0.2, cosine=0.98, top1_agreement=0.05, n=6, calibrated=False))
    assert both.max_abs == pytest.approx(0.3)
    assert both.cosine == pytest.approx(0.97)
    assert (both.top1_agreement, both.n, both.calibrated) == (0.0, 6, False)
    assert both.closeness is None
    near = replace(first, closeness=0.9).plus(replace(first, closeness=0.8))
    assert near.closeness == pytest.approx(0.7)
    assert near.loss(classes=False) == pytest.approx(0.3)
