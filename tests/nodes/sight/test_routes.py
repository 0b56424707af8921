"""The page's port of a real edge, over real HTTP."""

from __future__ import annotations

import http.client
import json
import re
import time
import xml.etree.ElementTree as ET
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.nodes.sight.conftest import LiveSite
from tests.nodes.sight.views import HOSTILE


def get(live: LiveSite, path: str, host: str = "", method: str = "GET") -> tuple[int, dict[str, str], str]:
    address = urlsplit(live.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=20)
    try:
        connection.request(method, path, headers={"Host": host or address.netloc})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode()
    finally:
        connection.close()


def seen(live: LiveSite, since: int = 0) -> dict[str, Any]:
    status, _, text = get(live, f"/sight.json?since={since}")
    assert status == 200
    told: dict[str, Any] = json.loads(text)
    return told


def seen_with_requests(live: LiveSite) -> dict[str, Any]:
    """Once the edge has looked at the requests that it was asked: it looks every two seconds."""
    for _ in range(100):
        told = seen(live)
        if told["requests"]:
            return told
        time.sleep(0.1)
    raise AssertionError("no request was seen in 10 s")


def test_the_document_says_what_the_edge_did(live: LiveSite) -> None:
    told = seen_with_requests(live)
    plans = [one["plan"] for one in told["requests"]]
    assert [plan.partition(" (")[0] for plan in plans] == ["edge-only", *["cloud-only"] * 3]  # whatever the codec
    assert {one["class"] for one in told["requests"]} == {HOSTILE}
    assert told["requests"][0]["id"] == live.request_id
    assert (told["totals"]["answered"], told["totals"]["failed"], told["totals"]["mistaken"]) == (4, 0, 2)
    assert {one["name"]: one["count"] for one in told["plans"]} == {plan: plans.count(plan) for plan in plans}
    assert sum(one["ended"] for one in told["history"]["moments"]) == 4
    assert [one["status"] for one in told["failures"]] == ["NOT_FOUND"] * 2
    assert told["link"]["uplink_bps"] > 0


def test_the_fleet_is_what_the_registry_names_and_how_it_stands(live: LiveSite) -> None:
    fleet = seen(live)["fleet"]
    standings = {one["replica_id"]: one["standing"] for one in fleet["replicas"]}
    assert standings.pop(HOSTILE) == "connecting"
    assert list(standings.values()) == ["ready"]
    assert fleet["heard"]


def test_what_is_emulated_is_said(live: LiveSite) -> None:
    assert seen(live)["emulated"] == [
        "the edge is slowed down 2 times", "the link to the cloud is made a string and two cans",
    ]  # fmt: skip


def test_only_new_moments_are_told_to_who_knows_the_old(live: LiveSite) -> None:
    moments = seen_with_requests(live)["history"]["moments"]
    newer = seen(live, since=moments[-1]["number"])["history"]["moments"]
    assert all(one["number"] > moments[-1]["number"] for one in newer)


def test_one_request_is_explained_as_to_an_operator(live: LiveSite) -> None:
    status, headers, text = get(live, f"/request.json?id={live.request_id}")
    record = json.loads(text)
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert record["request"]["request_id"] == live.request_id
    assert record["choice"]["name"] == "edge-only"
    assert len(record["candidates"]) > 1


def test_a_request_that_a_policy_refused_is_explained_by_the_id_of_its_failure(live: LiveSite) -> None:
    unknown_model, unknown_plan = seen(live)["failures"]
    told = json.loads(get(live, f"/request.json?id={unknown_plan['id']}")[2])
    assert told["failure"] == unknown_plan["message"]
    assert told["request"]["plan_id"] == "0" * 16
    assert len(told["candidates"]) > 2
    assert get(live, f"/request.json?id={unknown_model['id']}")[0] == 404


def test_the_cut_in_use_is_drawn_with_its_latest_prediction(live: LiveSite) -> None:
    cut = seen_with_requests(live)["models"][0]["cut"]
    status, headers, text = get(live, f"/cut.svg?model=small&plan={cut['plan_id']}")
    assert (status, headers["Content-Type"]) == (200, "image/svg+xml")
    said = " ".join(ET.fromstring(text).itertext())
    assert "small: cloud-only" in said
    assert "predicted " in said


def test_metrics_are_at_the_same_port_where_the_addresses_are_one(live: LiveSite) -> None:
    status, _, text = get(live, "/metrics")
    assert (status, "isthmus_requests_total" in text) == (200, True)


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/sight.json?since=soon", 400, "since: is no number"),
        ("/sight.json?since=-1", 400, "since: is no number"),
        ("/sight.json?since=" + "9" * 400, 400, "since: is no number"),
        ("/sight.json?" + "since=1&" * 65, 400, "the query cannot be read"),
        ("/request.json?id=nobody", 404, "'nobody' is not known"),
        ("/cut.svg?model=other&plan=x", 404, "'other' is not served here"),
        ("/cut.svg?model=small&plan=" + quote(HOSTILE), 404, "is not on offer"),
        ("/../settings.py", 404, "there is here: "),
        ("/page.html/", 404, "there is here: "),
    ],
)
def test_what_there_is_not_is_refused_in_a_line_of_plain_text(
    live: LiveSite, path: str, status: int, words: str
) -> None:
    answered, headers, text = get(live, path)
    assert (answered, words in text) == (status, True), text
    assert headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize("path", ["/", "/page.js", "/page.css", "/sight.json", "/request.json", "/request.json?id=x"])
def test_every_answer_forbids_what_the_page_does_not_need(live: LiveSite, path: str) -> None:
    _, headers, _ = get(live, path)
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert (headers["X-Content-Type-Options"], headers["Cache-Control"]) == ("nosniff", "no-store")
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example:1"]
)
def test_a_browser_that_was_led_here_under_another_name_is_refused(live: LiveSite, host: str) -> None:
    assert get(live, "/sight.json", host)[0] == 421
    assert get(live, "/", host)[0] == 421


@pytest.mark.parametrize("host", ["localhost", "localhost:9466", "127.0.0.1", "[::1]:80", "[::1]", "LOCALHOST:80"])
def test_this_machines_own_names_are_answered(live: LiveSite, host: str) -> None:
    assert get(live, "/", host)[0] == 200


def test_nothing_can_be_sent_to_it(live: LiveSite) -> None:
    assert {get(live, "/sight.json", method=method)[0] for method in ("POST", "PUT", "DELETE")} == {501}


def test_the_page_makes_no_markup_of_text_and_names_no_other_host() -> None:
    for file in files("nodes.sight").joinpath("assets").iterdir():
        text = file.read_text()
        assert not re.findall(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|javascript:", text
        )
        assert set(re.findall(r"https?://[^\s\"']+", text)) <= {"http://www.w3.org/2000/svg"}
        assert not re.findall(r"<[^>]*\s(style|on\w+)=", text)
