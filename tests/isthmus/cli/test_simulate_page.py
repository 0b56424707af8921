"""The page that `isthmus simulate` writes, in a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from isthmus.cli.main import app
from tests.browser import CHROMIUM, Browser, open_browser
from tests.simulations.fleet_files import scenario_file

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
PLOTS = "[...document.querySelectorAll('figure svg.chart')]"
INSIDE = """((plot) => {
  const box = plot.getBoundingClientRect();
  return [...plot.querySelectorAll("text")].filter((one) => one.textContent).every((one) => {
    const text = one.getBoundingClientRect();
    return text.width > 0 && text.left >= box.left - 1 && text.right <= box.right + 1
      && text.top >= box.top - 1 && text.bottom <= box.bottom + 1;
  });
})"""
OVERLAPS = """((plot) => {
  const texts = [...plot.querySelectorAll("text")].filter((one) => one.textContent);
  const boxes = texts.map((one) => one.getBoundingClientRect());
  const shared = (a, b, low, high) => Math.min(a[high], b[high]) - Math.max(a[low], b[low]);
  return boxes.flatMap((a, i) => boxes.slice(i + 1).flatMap((b, j) =>
    shared(a, b, "left", "right") > 1 && shared(a, b, "top", "bottom") > 3
      ? [`${texts[i].textContent} | ${texts[i + 1 + j].textContent}`] : []));
})"""
SIZES = "((plot) => { const box = plot.getBoundingClientRect(); return [box.width, box.height]; })"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Browser, str]]:
    """A browser, and where the page of a busy little fleet is: some requests are refused."""
    folder = tmp_path_factory.mktemp("simulated")
    client = {"name": "camera", "edges": "shop", "model": "net", "file": "20kB", "deadline": "600ms",
              "arrivals": {"kind": "poisson", "rate_per_s": 20.0}}  # fmt: skip
    path = scenario_file(folder, duration="6s", warm_up="1s", clients=[client], slo={"within": "500ms"})
    done = CliRunner().invoke(app, ["simulate", str(path), "-o", str(folder / "out"), "--workers", "1"])
    assert done.exit_code == 0, done.exception
    with open_browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser, (folder / "out" / "report.html").as_uri()


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
@pytest.mark.parametrize("dark", [False, True])
def test_its_plots_are_there_and_nothing_overflows(
    page: tuple[Browser, str], width: int, height: int, dark: bool
) -> None:
    browser, url = page
    browser.open(url, width, height, dark=dark)
    browser.until("document.readyState === 'complete' && document.querySelectorAll('dd').length > 4")
    assert browser.value("document.documentElement.scrollWidth") == width
    sizes = browser.value(f"{PLOTS}.map({SIZES})")
    assert len(sizes) == 7
    assert all(wide > 300 and high > 30 for wide, high in sizes)
    cut = browser.value(f"{PLOTS}.filter((one) => !{INSIDE}(one)).map((one) => one.querySelector('title').textContent)")
    assert cut == []
    assert browser.value(f"{PLOTS}.flatMap({OVERLAPS})") == []
    paper, ink = browser.value("((one) => [one.backgroundColor, one.color])(getComputedStyle(document.body))")
    assert (paper, ink) == (
        ("rgb(25, 23, 36)", "rgb(232, 230, 242)") if dark else ("rgb(255, 255, 255)", "rgb(38, 35, 58)")
    )
    written = browser.value(f"{PLOTS}.flatMap((one) => [...one.querySelectorAll('text.strong')])"
                            ".map((one) => getComputedStyle(one).fill)")  # fmt: skip
    assert set(written) == {ink}
    assert browser.complaints == []
