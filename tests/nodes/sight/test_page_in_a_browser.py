"""The page of a real edge in a real Chromium, with names in it that would like to be markup."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import CHROMIUM, Browser, open_browser
from tests.nodes.sight.conftest import LiveSite

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
SEEN = "document.querySelectorAll('#requests tbody tr').length === 4"


@pytest.fixture(scope="module")
def page(live: LiveSite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The page of `live`, once it shows the requests."""
    with open_browser(tmp_path_factory.mktemp("browser")) as browser:
        browser.open(f"{live.url}/")
        browser.until(SEEN)
        yield browser


def text(page: Browser, selector: str) -> str:
    said = page.value(f"document.querySelector({selector!r}).innerText")
    assert isinstance(said, str)
    return said


def test_hostile_names_are_shown_as_text_and_run_nothing(page: Browser) -> None:
    assert page.value("document.title").endswith("· Isthmus")
    for selector in ("#requests", "#failures", "#fleet"):
        assert "<img src=x onerror=" in text(page, selector)
    assert page.value("[...document.images].map((one) => one.className).join()") == "cut"
    assert page.complaints == []


def test_nothing_is_asked_of_anybody_else(page: Browser, live: LiveSite) -> None:
    assert len(page.asked) > 5
    assert {url for url in page.asked if not url.startswith(f"{live.url}/")} <= {"about:blank"}


def test_a_request_opens_with_every_plan_that_it_could_have_taken(page: Browser, live: LiveSite) -> None:
    page.value("document.querySelector('#requests button').click()")
    page.until("document.querySelector('#explain[open] .candidates')")
    assert live.request_id in text(page, "#explain-title")
    assert page.value("document.querySelectorAll('#explained .candidates tr').length") > 2
    assert "edge-only" in text(page, "#explained .chosen")
    assert "finished by the edge" in text(page, "#explained")
    page.value("document.getElementById('explain').close()")


def test_a_failure_opens_with_what_was_believed_when_it_was_refused(page: Browser) -> None:
    page.value("[...document.querySelectorAll('#failures button')].at(-1).click()")
    page.until("document.querySelector('#explain[open] .candidates')")
    said = text(page, "#explained")
    assert "has none such" in said
    assert "believed" in said
    assert page.value("document.querySelectorAll('#explained .candidates tr').length") > 2
    assert page.value("document.querySelector('#explained .chosen')") is None
    page.value("document.getElementById('explain').close()")
    assert page.complaints == []


def test_charts_are_read_with_the_keyboard(page: Browser) -> None:
    page.value("document.querySelector('#c-link svg').focus()")
    before = text(page, "#c-link .readout")
    assert before.startswith("latest")
    page.order("Input.dispatchKeyEvent", type="keyDown", key="ArrowLeft")
    assert not text(page, "#c-link .readout").startswith("latest")
    page.order("Input.dispatchKeyEvent", type="keyDown", key="Escape")
    assert text(page, "#c-link .readout").startswith("latest")


def test_a_registry_that_went_away_is_said_with_since_when(page: Browser) -> None:
    said = page.value(
        """(async () => {
          const parts = await import("/sections.js");
          const sight = await (await fetch("/sight.json?since=0")).json();
          sight.fleet.away_s = 40.2;
          parts.tiles(sight);
          parts.fleet(sight.fleet);
          return ["tiles", "fleet"].map((id) => document.getElementById(id).innerText);
        })()"""
    )
    assert ["silent for 40 s" in one for one in said] == [True, True], said


def test_a_paused_page_stands_still_until_it_goes_on(page: Browser) -> None:
    page.value("document.getElementById('pause').click()")
    assert text(page, "#state").startswith("Paused")
    page.value("window.pausedMs = performance.now()")
    page.until("performance.now() > window.pausedMs + 1000")  # what was asked before is answered
    polls = page.value("document.body.dataset.polls")
    page.until("performance.now() > window.pausedMs + 4000")  # it would have asked again
    assert page.value("document.body.dataset.polls") == polls
    page.value("document.getElementById('pause').click()")
    page.until(f"document.body.dataset.polls !== {polls!r}")
    assert text(page, "#state").startswith("Serves")


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_its_window_and_is_legible(
    live: LiveSite, tmp_path: Path, page: Browser, width: int, height: int, dark: bool
) -> None:
    page.open(f"{live.url}/", width, height, dark=dark)
    page.until(SEEN)
    assert page.value("document.documentElement.scrollWidth") == width
    assert page.value(CONTRAST) >= 4.5  # WCAG 2 AA


CONTRAST = """(() => {
  const rgb = (text) => text.match(/[\\d.]+/g).slice(0, 4).map(Number);
  const light = (text) => rgb(text).slice(0, 3).map((one) => one / 255)
    .map((one) => (one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
    .reduce((sum, one, i) => sum + one * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (one) => {
    const colour = getComputedStyle(one).backgroundColor, parts = rgb(colour);
    return parts.length < 4 || parts[3] > 0 ? colour : behind(one.parentElement);
  };
  const texts = [...document.querySelectorAll("main *, header *, footer *")].filter((one) => !one.closest("svg") &&
  one.tagName !== "OPTION" && [...one.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim()));
  return Math.min(...texts.map((one) => { const [a, b] = [light(getComputedStyle(one).color),
  light(behind(one))].sort((x, y) => y - x); return (a + 0.05) / (b + 0.05); })); })()"""
