"""The page of an edge of `isthmus up`, in a real Chromium, beside `isthmus top` of the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from isthmus.client import Client
from isthmus.zoo import demo_photos
from tests.browser import CHROMIUM, Browser, open_browser
from tests.system.conftest import MODEL, Up
from tests.system.launched import HANGS_S

ROCKET = demo_photos()[2]


def page_address(up: Up) -> str:
    """Where the edge says that its page is."""
    lines = (up.folder / "isthmus.log").read_text().splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{")]
    (address,) = [one["address"] for one in told if one.get("field") == "edge.page_listen"]
    return f"http://{address}/"


def top(up: Up, *words: str) -> str:
    command = [sys.executable, "-m", "isthmus", "top", "--server", up.address, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANGS_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def text(page: Browser, selector: str) -> str:
    said = page.value(f"document.querySelector({selector!r}).innerText")
    assert isinstance(said, str)
    return said


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_an_operator_sees_requests_plans_fleet_and_cut_as_they_come(up: Up, client: Client, tmp_path: Path) -> None:
    with open_browser(tmp_path) as page:
        page.open(page_address(up))
        page.until("document.querySelectorAll('#tiles .tile').length > 5")
        split = client.infer(MODEL, {"image": ROCKET}, policy="fixed:split", timeout_s=60)
        newest = client.infer(MODEL, {"image": ROCKET}, policy="edge-only", timeout_s=60)
        page.until(f"document.querySelector('#requests [data-key=\"{newest.request_id}\"]')")
        page.until("document.querySelector('img.cut')?.naturalWidth > 100")
        assert page.complaints == []
        assert "Emulated: the edge is slowed down 4 times; the link" in text(page, "#emulated")
        assert "200 Mbit/s up, 200 Mbit/s down, RTT 5 ms" in text(page, "#emulated")
        assert text(page, "#state").startswith("Serves")
        rows = text(page, "#requests").splitlines()
        assert any(split.request_id[:8] in row for row in rows)
        assert any("edge-only" in row for row in text(page, "#plans").splitlines())
        assert "ready" in text(page, "#fleet")
        assert page.value("document.querySelector('#c-link polyline') !== null")
        assert page.value("document.querySelector('#c-plans path.area') !== null")
        assert MODEL in text(page, "#cuts")
        page.value(f"document.querySelector('#requests [data-key=\"{split.request_id}\"]').click()")
        page.until("document.querySelector('#explain[open] .chosen')")
        assert "split at" in text(page, "#explain .chosen")


def test_top_tells_the_same_in_a_terminal_and_as_a_document(up: Up, client: Client) -> None:
    answered = json.loads(top(up, "--json"))["totals"]["answered"]
    client.infer(MODEL, {"image": ROCKET}, timeout_s=60)
    told = json.loads(top(up, "--json"))
    assert told["totals"]["answered"] == answered + 1
    assert told["fleet"]["replicas"][0]["standing"] == "ready"
    said = top(up)
    assert "Emulated: the edge is slowed down 4 times" in said
    assert "fleet registry" in said
