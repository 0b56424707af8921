"""The fleets that a search tried, as a picture of its own: how many requests were in time with how many replicas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from isthmus.page.axes import LinearAxis, frame
from isthmus.page.palette import LINES
from isthmus.page.style import STYLE_SHEET
from isthmus.units import format_duration
from partitioner.svg import element, escaped, text
from simulations.capacity.plan_answer import CapacityAnswer, Tried
from simulations.report.drawing import LEFT, RIGHT, WIDTH, NinesAxis, legend, line

__all__ = ["fleet_picture"]

_HEIGHT, _RADIUS = 320, 4
_NINES = (0.9, 0.99, 0.999, 0.9999)


def fleet_picture(answer: CapacityAnswer) -> str:
    """SVG that needs nothing else. Dotted: what is promised; a ring: the fleet that was found; a bar: the interval as
    far as that fleet was simulated."""
    # What whole runs say stands in place of what the search saw.
    tried = {(one.choice, one.replicas): one for one in sorted(answer.tried, key=lambda one: one.whole)}.values()
    kinds = list(dict.fromkeys(one.choice for one in answer.tried))
    entries = [(kind, LINES[place % len(LINES)]) for place, kind in enumerate(kinds)]
    keys, top = legend(entries, 10)
    top += 36
    bottom = top + _HEIGHT
    most = max([one.replicas for one in tried], default=1) + 1
    nines = next((end for end in _NINES if answer.slo.share < end), 0.99999)
    x = LinearAxis(float(most), LEFT, RIGHT, "replicas", lambda value: f"{value:g}")
    y = NinesAxis(nines, bottom, top, "in time")
    body = [*keys, *frame(x, y), *_promise(answer, x, y)]
    for kind, colour in entries:
        of_kind = sorted((one for one in tried if one.choice == kind), key=lambda one: one.replicas)
        body += _curve(of_kind, colour, x, y)
    if answer.found is not None:
        found = answer.found.confirmed
        at_x, at_y = x.at(found.replicas), y.at(found.share.value)
        body.append(element("circle", cx=at_x, cy=at_y, r=9, fill="none", stroke="var(--ink)", stroke_width=2))
    title = element("title", escaped(f"{answer.scenario}: requests in time by replicas"))
    height = bottom + 50
    page = element("rect", width=WIDTH, height=height, fill="var(--page)")
    inside = element("style", STYLE_SHEET) + title + page + "".join(body)
    box = f"0 0 {WIDTH} {height:g}"
    return element("svg", inside, xmlns="http://www.w3.org/2000/svg", class_="chart", role="img", viewBox=box) + "\n"


def _promise(answer: CapacityAnswer, x: LinearAxis, y: NinesAxis) -> Iterator[str]:
    at_y = y.at(answer.slo.share)
    yield element("path", d=f"M{x.start:g},{at_y:.1f} H{x.stop:g}", class_="asked")
    said = f"{100 * answer.slo.share:g} % within {format_duration(answer.slo.within_s)}"
    yield text(x.start + 8, at_y - 8, "halo", said)


def _curve(tried: Sequence[Tried], colour: str, x: LinearAxis, y: NinesAxis) -> Iterator[str]:
    yield line([(x.at(one.replicas), y.at(one.share.value)) for one in tried], colour, tried[0].choice, "curve")
    for one in tried:
        at_x = x.at(one.replicas)
        if one.share.low is not None and one.share.high is not None:
            low, high = y.at(max(0.0, one.share.low)), y.at(one.share.high)
            yield element("path", d=f"M{at_x:.1f},{low:.1f} V{high:.1f}", class_="whisker")
        yield element("circle", cx=at_x, cy=y.at(one.share.value), r=_RADIUS, fill=colour)
