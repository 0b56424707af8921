"""What a real edge and a real replica say over HTTP after a few real requests."""

from __future__ import annotations

import pytest

from nodes.metrics.families import MOST_REPLICAS, credit_families
from nodes.metrics.request_ledger import STAGES
from nodes.protocol.send_window import SMALL_FRAME_BYTES, Credit
from tests.nodes.metrics.scrapes import Scrapes


def test_every_request_is_counted_once_by_how_it_ended(scrapes: Scrapes) -> None:
    edge = scrapes.edge
    assert edge.value("isthmus_requests_total", policy="cloud-only", plan_kind="cloud-only", outcome="ok") == 3
    assert edge.value("isthmus_requests_total", policy="edge-only", finished_by="edge", outcome="ok") == 2
    assert edge.value("isthmus_requests_total", model="small", outcome="INVALID_ARGUMENT") == 1
    assert edge.value("isthmus_requests_total") == 8


def test_a_plan_that_a_request_forces_is_no_policys(scrapes: Scrapes) -> None:
    assert scrapes.edge.value("isthmus_requests_total", policy="fixed", plan_kind="edge-only") == 1
    assert scrapes.edge.value("isthmus_decisions_total", policy="fixed", plan_kind="edge-only") == 1


def test_what_a_client_made_up_is_no_label(scrapes: Scrapes) -> None:
    assert "made-up" not in scrapes.edge.text
    assert scrapes.edge.value("isthmus_requests_total", model="", outcome="NOT_FOUND") == 1


def test_refusals_say_why(scrapes: Scrapes) -> None:
    reasons = {"invalid_request": 1, "not_found": 1, "overloaded": 0, "draining": 0}
    assert {one: scrapes.edge.value("isthmus_refusals_total", reason=one) for one in reasons} == reasons


def test_answers_are_timed_whole_and_by_stage(scrapes: Scrapes) -> None:
    edge = scrapes.edge
    assert edge.value("isthmus_request_seconds_count", model="small") == 6
    assert [edge.value("isthmus_request_stage_seconds_count", stage=stage) for stage in STAGES] == [6] * 6
    staged_s = edge.value("isthmus_request_stage_seconds_sum")
    assert 0 < staged_s <= edge.value("isthmus_request_seconds_sum")


def test_the_last_bucket_holds_all(scrapes: Scrapes) -> None:
    edge = scrapes.edge
    assert edge.value("isthmus_request_seconds_bucket", le="+Inf") == edge.value("isthmus_request_seconds_count")
    assert edge.value("isthmus_request_seconds_bucket", le="30") == 6


def test_predictions_are_held_against_what_happened(scrapes: Scrapes) -> None:
    errors = [
        scrapes.edge.value("isthmus_prediction_error_ratio_count", plan_kind=kind)
        for kind in ("cloud-only", "edge-only")
    ]
    assert errors == [3, 3]


def test_decisions_are_those_for_clients(scrapes: Scrapes) -> None:
    edge = scrapes.edge
    assert edge.value("isthmus_decisions_total", policy="cloud-only", plan_kind="cloud-only") == 3
    assert edge.value("isthmus_decisions_total", policy="edge-only", plan_kind="edge-only") == 2


def test_the_link_the_replica_and_the_limits_are_there(scrapes: Scrapes) -> None:
    edge = scrapes.edge
    assert edge.value("isthmus_link_uplink_bits_per_second") > 1e3
    assert 0 < edge.value("isthmus_link_rtt_seconds") < 10
    assert (edge.value("isthmus_replicas_connected"), edge.value("isthmus_replicas_usable")) == (1, 1)
    assert (edge.value("isthmus_requests_waiting"), edge.value("isthmus_kept_bytes")) == (0, 0)
    assert edge.value("isthmus_requests_waiting_limit") == 128
    assert (edge.value("isthmus_client_bytes"), edge.value("isthmus_client_limit_bytes")) == (
        0,
        512 << 20,
    )
    assert edge.value("isthmus_cloud_answers_total") == 3
    assert edge.value("isthmus_registry_connected") == 1


def test_a_stream_tells_what_may_be_under_way_to_its_replica(scrapes: Scrapes) -> None:
    under_way, window = (
        [one for family in scrapes.edge.families if family.name == name for one in family.samples]
        for name in ("isthmus_upload_under_way_bytes", "isthmus_upload_window_bytes")
    )
    assert [set(one.labels) for one in (*under_way, *window)] == [{"replica"}] * 2
    assert 0 <= under_way[0].value <= window[0].value + SMALL_FRAME_BYTES
    assert window[0].value > 1000


def test_of_many_replicas_the_newest_count_together() -> None:
    many = {f"replica-{number}": Credit(number, 100) for number in range(MOST_REPLICAS + 3)}
    under_way, window = credit_families(many)
    assert len(under_way.samples) == len(window.samples) == MOST_REPLICAS + 1
    assert [one.value for one in under_way.samples if one.labels == {"replica": "others"}] == [32 + 33 + 34]
    assert [one.value for one in window.samples if one.labels == {"replica": "others"}] == [300]


def test_a_replica_counts_its_batches_and_stages(scrapes: Scrapes) -> None:
    cloud = scrapes.cloud
    assert cloud.value("isthmus_suffix_batch_requests_sum") == 3
    assert 1 <= cloud.value("isthmus_suffix_batch_requests_count") <= 3
    assert cloud.value("isthmus_replica_stage_seconds_count", stage="suffix") == 3
    assert cloud.value("isthmus_streams") == 1
    assert 0 < cloud.value("isthmus_cloud_offered_seconds_total") < 60
    assert cloud.value("isthmus_requests_waiting_limit") == 256


def test_a_replica_tells_from_the_start_why_it_may_refuse_and_how_many_its_work_asks_for(scrapes: Scrapes) -> None:
    refusals = [
        one for family in scrapes.cloud.families for one in family.samples if one.name == "isthmus_refusals_total"
    ]
    assert {(one.labels["reason"], one.value) for one in refusals} == {
        (reason, 0) for reason in ("too_large", "invalid_request", "not_found", "draining", "overloaded")
    }
    assert scrapes.cloud.value("isthmus_replicas_wanted") == 0.5
    assert scrapes.cloud.value("isthmus_replicas_limit") == 4


@pytest.mark.parametrize("side", ["edge", "cloud"])
def test_an_engine_that_copies_no_weights_says_so(scrapes: Scrapes, side: str) -> None:
    assert "isthmus_engine_held_bytes 0.0" in getattr(scrapes, side).text


@pytest.mark.parametrize("side", ["edge", "cloud"])
def test_work_is_accounted_for_and_none_was_late(scrapes: Scrapes, side: str) -> None:
    scrape = getattr(scrapes, side)
    assert scrape.value("isthmus_executions_total", result="executed") >= 3
    assert "isthmus_executed_after_deadline_total{" in scrape.text
    assert scrape.value("isthmus_executed_after_deadline_total") == 0


@pytest.mark.parametrize("side", ["edge", "cloud"])
def test_the_process_is_described(scrapes: Scrapes, side: str) -> None:
    scrape = getattr(scrapes, side)
    assert scrape.value("process_resident_memory_bytes") > 1e7
    assert scrape.value("isthmus_event_loop_tasks") >= 1


@pytest.mark.parametrize("side", ["edge", "cloud"])
def test_names_follow_the_conventions(scrapes: Scrapes, side: str) -> None:
    for family in getattr(scrapes, side).families:
        if family.name.startswith("process_"):
            continue
        assert family.name.startswith("isthmus_")
        assert family.documentation.endswith(".")
        assert not family.name.endswith(("_s", "_ms", "_bps", "_count", "_sum"))
        totals = [sample.name.endswith("_total") for sample in family.samples]
        assert all(totals) if family.type == "counter" else not any(totals)
