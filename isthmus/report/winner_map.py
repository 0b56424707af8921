"""Maps of the best plan: bandwidth against the cloud's load, and against the round trip."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from isthmus.page.axes import LogAxis, frame
from isthmus.page.html import figure, section, swatch, table
from isthmus.report.bandwidth_curve import bandwidth_axis
from isthmus.report.facts import Chapter
from isthmus.report.plan_names import PlanName
from isthmus.units import format_bandwidth, format_duration
from partitioner.bandwidth_pieces import Piece, pieces_of, time_lines
from partitioner.condition import Condition
from partitioner.frontier import Frontier
from partitioner.svg import element, escaped

__all__ = ["map_section"]

_WIDTH, _HEIGHT = 1000, 360
_LEFT, _TOP, _RIGHT, _BOTTOM = 80, 30, 950, 300
_ROWS = 160

_Along = Callable[[Condition, float], Condition]


def map_section(chapter: Chapter, frontier: Frontier, names: Mapping[str, PlanName]) -> str:
    """Both maps, each with some of its rows as a table."""
    condition = chapter.condition
    rtt_s = condition.link.rtt_s
    rtts = LogAxis(min(1e-3, rtt_s / 4) or 1e-4, max(0.3, rtt_s * 4), _BOTTOM, _TOP, "round trip", format_duration)
    load = condition.cloud_load
    loads = LogAxis(min(1.0, load), max(32.0, load * 4), _BOTTOM, _TOP, "cloud load", lambda value: f"× {value:g}")
    by_load = _map(chapter, frontier, names, loads, _with_cloud_load, load)
    by_rtt = _map(chapter, frontier, names, rtts, _with_rtt, rtt_s)
    said_rtt = format_duration(rtt_s)
    return section(
        "Which plan wins where",
        _keys(names[entry.plan.plan_id] for entry in frontier.plans),
        figure(
            by_load,
            f"The best plan by bandwidth and by how many times slower the cloud computes than when idle, "
            f"for a round trip of {said_rtt}. The circle: what was asked.",
        ),
        _rows_table(f"Rows of that map (round trip {said_rtt})", frontier, names, condition, loads, _with_cloud_load),
        figure(by_rtt, f"The best plan by bandwidth and round trip, for a cloud load of {load:g}."),
        _rows_table(f"Rows of that map (cloud load {load:g})", frontier, names, condition, rtts, _with_rtt),
    )


def _keys(names: Iterable[PlanName]) -> str:
    """Each plan's colour, code and title: regions may be too narrow for a code."""
    keys = (element("span", f"{swatch(name.code, name.colour)} {escaped(name.title)}") for name in dict.fromkeys(names))
    return element("p", " ".join(keys), class_="keys") + "\n"


def _with_cloud_load(condition: Condition, load: float) -> Condition:
    return replace(condition, cloud_load=load)


def _with_rtt(condition: Condition, rtt_s: float) -> Condition:
    return replace(condition, link=replace(condition.link, rtt_s=rtt_s))


def _map(
    chapter: Chapter,
    frontier: Frontier,
    names: Mapping[str, PlanName],
    y: LogAxis,
    along: _Along,
    asked: float,
) -> str:
    """Rows of rectangles; each row's borders are exact."""
    asked_bps = chapter.condition.link.uplink_bps
    x = bandwidth_axis(asked_bps, _LEFT, _RIGHT)
    codes = [names[entry.plan.plan_id] for entry in frontier.plans]
    values = y.between(y.least, y.most, 2 * _ROWS)[1::2]  # the middles of the rows
    rows = [_merged(pieces_of(time_lines(frontier, along(chapter.condition, value))), codes) for value in values]
    body = [element("title", f"The best plan by bandwidth and {y.label}")]
    body.append(element("g", "".join(_regions(rows, values, x, y))))
    body += frame(x, y)
    body += _labels(rows, values, x, y)
    body.append(
        element("circle", cx=x.at(asked_bps), cy=y.at(asked), r=6, fill="none", stroke="currentColor", stroke_width=2.5)
    )
    return element("svg", "".join(body), class_="chart", role="img", viewBox=f"0 0 {_WIDTH} {_HEIGHT}", width=_WIDTH)


def _merged(pieces: Sequence[Piece], codes: Sequence[PlanName]) -> list[tuple[PlanName, Piece]]:
    """Neighbours of one name (a cut with different codecs) as one piece."""
    merged: list[tuple[PlanName, Piece]] = []
    for piece in pieces:
        name = codes[piece.line]
        if merged and merged[-1][0] == name:
            merged[-1] = (name, replace(merged[-1][1], to_bps=piece.to_bps))
        else:
            merged.append((name, piece))
    return merged


def _regions(
    rows: Sequence[Sequence[tuple[PlanName, Piece]]], values: Sequence[float], x: LogAxis, y: LogAxis
) -> Iterator[str]:
    """One path a plan, of a rectangle for each row that it wins a part of."""
    height = (_BOTTOM - _TOP) / _ROWS
    paths: dict[PlanName, list[str]] = {}
    for value, row in zip(values, rows, strict=True):
        for name, start, stop in _shown(row, x):
            top = y.at(value) - height / 2
            paths.setdefault(name, []).append(f"M{start:.1f},{top:.2f}H{stop:.1f}v{height + 0.4:.2f}H{start:.1f}z")
    for name, parts in paths.items():
        inside = element("title", escaped(f"{name.code}: {name.title}"))
        yield element("path", inside, d="".join(parts), fill=name.colour)


def _shown(row: Sequence[tuple[PlanName, Piece]], x: LogAxis) -> Iterator[tuple[PlanName, float, float]]:
    """The pixels from and to which each plan of a row wins."""
    for name, piece in row:
        start, stop = x.at(max(piece.from_bps, x.least)), x.at(min(piece.to_bps, x.most))
        if stop > start:
            yield name, start, stop


def _labels(
    rows: Sequence[Sequence[tuple[PlanName, Piece]]], values: Sequence[float], x: LogAxis, y: LogAxis
) -> Iterator[str]:
    """Each plan's code where its region is widest: half way up the rows that are nearly so."""
    spans: dict[PlanName, list[tuple[float, float, float]]] = {}
    for value, row in zip(values, rows, strict=True):
        for name, start, stop in _shown(row, x):
            spans.setdefault(name, []).append((stop - start, (start + stop) / 2, y.at(value)))
    for name, found in spans.items():
        widest = max(found)[0]
        near = [span for span in found if span[0] > 0.9 * widest]
        _, middle, at = near[len(near) // 2]
        if widest > 24 and len(found) > 4:
            yield element("text", escaped(name.code), x=middle, y=at + 5, class_="halo", text_anchor="middle")


def _rows_table(
    caption: str,
    frontier: Frontier,
    names: Mapping[str, PlanName],
    condition: Condition,
    axis: LogAxis,
    along: _Along,
) -> str:
    x = bandwidth_axis(condition.link.uplink_bps, _LEFT, _RIGHT)
    bandwidths = [bps * step for bps in x.ticks() for step in (1, 3) if bps * step <= x.most * 1.001]
    ratio = frontier.downlink_ratio
    rows = []
    for value in axis.between(axis.least, axis.most, 6):
        there = along(condition, value)
        links = (replace(there.link, uplink_bps=bps, downlink_bps=bps / ratio) for bps in bandwidths)
        best = (names[frontier.best(replace(there, link=link)).plan.plan_id] for link in links)
        rows.append((axis.said(float(f"{value:.2g}")), *(swatch(name.code, name.colour) for name in best)))
    return table(caption, (axis.label, *map(format_bandwidth, bandwidths)), rows, numbers_from=len(bandwidths) + 1)
