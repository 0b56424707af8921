"""How long requests took: the distribution of each client, class and model, with what was promised."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from isthmus.page.axes import LogAxis, frame
from isthmus.page.html import figure
from isthmus.page.palette import LINES
from isthmus.units import format_duration
from partitioner.svg import element, text
from simulations.answers.distribution import Distribution
from simulations.answers.groups import GroupKind
from simulations.answers.slo import Slo
from simulations.answers.summary import Summary
from simulations.report.drawing import LEFT, RIGHT, NinesAxis, canvas, legend, line

__all__ = ["distribution_figure", "group_title"]

_MOST_LINES = 8
_HEIGHT = 340


def group_title(kind: GroupKind, name: str) -> str:
    """ "all requests", "client cameras", "without a class"."""
    if kind == "all":
        return "all requests"
    return f"{kind} {name}" if name else f"without a {kind}"


def distribution_figure(answers: Summary) -> str:
    """The plot, of the groups with the most requests where there are many; nothing where nothing was answered."""
    size = {(one.kind, one.name): one.n for one in answers.groups}
    known = [one for one in answers.distributions if one.times_s]
    shown = sorted(known, key=lambda one: (one.kind != "all", -size[one.kind, one.name]))[:_MOST_LINES]
    if not shown:
        return ""
    said = (
        "Share of all requests answered within a time, by its nines: each step up leaves a tenth as many. A line ends "
    )
    said += "where nothing more was answered, or where fewer than ten requests are left beyond."
    if answers.slo is not None:
        said += " Dotted: what is promised; a line that passes above and left of their crossing keeps it."
    if len(known) > len(shown):
        said += f" The {len(shown)} groups with the most requests, of {len(known)}; the table has all."
    return figure(_plot(shown, answers.slo), said)


def _plot(shown: Sequence[Distribution], slo: Slo | None) -> str:
    names = [group_title(one.kind, one.name) for one in shown]
    colours = ["currentColor", *LINES] if shown[0].kind == "all" else [*LINES]
    entries = list(zip(names, colours, strict=False))
    keys, top = legend(entries, 4)
    top += 30
    bottom = top + _HEIGHT
    x, y = _axes(shown, slo, top, bottom)
    body = [*keys, *frame(x, y)]
    for one, (name, colour) in reversed(list(zip(shown, entries, strict=True))):
        points = [(x.at(time_s), y.at(share)) for time_s, share in zip(one.times_s, one.shares, strict=True)]
        body.append(line(points, colour, name, "curve"))
    body += _promise(slo, x, y)
    return canvas("Share of requests answered within a time", bottom + 46, body)


def _axes(shown: Sequence[Distribution], slo: Slo | None, top: float, bottom: float) -> tuple[LogAxis, NinesAxis]:
    times_s = [end for one in shown for end in (one.times_s[0], one.times_s[-1])]
    if slo is not None:
        times_s.append(slo.within_s)
    share = max(max(one.shares[-1] for one in shown), 0.9, min(slo.share, 0.9999) if slo else 0.9)
    nines = next((end for end in (0.99, 0.999, 0.9999, 0.99999) if share <= end), 0.999999)
    x = LogAxis(
        max(min(times_s) / 1.2, 1e-6), max(max(times_s) * 1.2, 1e-5), LEFT, RIGHT, "time of a request", format_duration
    )
    return x, NinesAxis(nines, bottom, top, "answered")


def _promise(slo: Slo | None, x: LogAxis, y: NinesAxis) -> Iterator[str]:
    if slo is None:
        return
    yield element("path", d=f"M{x.at(slo.within_s):.1f},{y.stop:g} V{y.start:g}", class_="asked")
    yield element("path", d=f"M{x.start:g},{y.at(slo.share):.1f} H{x.stop:g}", class_="asked")
    right = x.at(slo.within_s) < (LEFT + RIGHT) / 2
    at_x = x.at(slo.within_s) + (8 if right else -8)
    said = f"{100 * slo.share:g} % within {format_duration(slo.within_s)}"
    yield text(at_x, y.start - 10, "halo", said, "start" if right else "end")
