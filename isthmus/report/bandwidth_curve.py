"""Latency against bandwidth: the best plan at each bandwidth, between breakpoints that are exact."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from isthmus.page.axes import LogAxis, frame
from isthmus.page.html import figure, section, swatch, table
from isthmus.report.facts import Chapter
from isthmus.report.plan_names import PlanName, codecs_of
from isthmus.units import format_bandwidth, format_duration
from partitioner.bandwidth_pieces import Piece, TimeLine, pieces_of, time_lines
from partitioner.frontier import Frontier
from partitioner.graph import ModelGraph
from partitioner.link import Link
from partitioner.plan import Plan
from partitioner.request_bytes import request_bytes
from partitioner.svg import element, escaped, text

__all__ = ["bandwidth_axis", "bandwidth_section", "said_range"]

_WIDTH, _HEIGHT = 1000, 430
_LEFT, _TOP, _RIGHT, _BOTTOM = 80, 40, 950, 370
_SUMS = (
    " This curve, the map, the frontier and the menu go by sums of op times; the plans above by the halves that were "
    "measured whole, so what is best there may not be here."
)


def bandwidth_axis(asked_bps: float, start: float, stop: float) -> LogAxis:
    """From 100 kbit/s to 1 Gbit/s, and further where the question lies outside."""
    least, most = min(1e5, asked_bps / 10), max(1e9, asked_bps * 10)
    return LogAxis(least, most, start, stop, "uplink bandwidth", format_bandwidth)


def bandwidth_section(chapter: Chapter, frontier: Frontier, names: Mapping[str, PlanName], graph: ModelGraph) -> str:
    """The curve and, beside it, each piece as numbers."""
    condition = chapter.condition
    lines = time_lines(frontier, condition)
    pieces = pieces_of(lines)
    codes = [names[entry.plan.plan_id] for entry in frontier.plans]
    loads = f"edge load {condition.edge_load:g}, cloud load {condition.cloud_load:g}"
    rtt = format_duration(condition.link.rtt_s)
    return section(
        "Latency against bandwidth",
        figure(
            _curve(chapter, _references(chapter, graph), lines, pieces, codes),
            f"The best plan at each bandwidth, in its colour, for a round trip of {rtt} and {loads}; where the colour "
            "changes is exact. Dashed: edge-only, and the cloud-only plan that is best at the bandwidth asked about."
            f"{_SUMS if chapter.has_halves else ''}",
        ),
        table(
            "The pieces of the curve, slowest bandwidth first, with the time of a request at either end",
            ("", "plan", "going up", "going down", "from", "to", "slow end", "fast end"),
            [
                _piece_row(piece, frontier.plans[piece.line].plan, lines[piece.line], codes[piece.line])
                for piece in pieces
            ],
            numbers_from=4,
        ),
    )


def _piece_row(piece: Piece, plan: Plan, line: TimeLine, name: PlanName) -> tuple[str, ...]:
    slow = line.seconds(piece.from_bps) if piece.from_bps > 0 else (math.inf if line.wire_bits else line.fixed_s)
    return (
        swatch(name.code, name.colour),
        name.title,
        codecs_of(plan.boundary),
        codecs_of(plan.downlink),
        format_bandwidth(piece.from_bps) if piece.from_bps > 0 else "0",
        format_bandwidth(piece.to_bps) if piece.to_bps < math.inf else "any",
        format_duration(slow) if slow < math.inf else "without end",
        format_duration(line.seconds(piece.to_bps)),
    )


def said_range(piece: Piece) -> str:
    """ "20 Mbit/s to 1 Gbit/s", "above 1 Gbit/s"."""
    if piece.from_bps == 0:
        return "at any bandwidth" if piece.to_bps == math.inf else f"below {format_bandwidth(piece.to_bps)}"
    slow = format_bandwidth(piece.from_bps)
    return f"above {slow}" if piece.to_bps == math.inf else f"{slow} to {format_bandwidth(piece.to_bps)}"


def _curve(
    chapter: Chapter,
    references: Sequence[tuple[str, TimeLine]],
    lines: Sequence[TimeLine],
    pieces: Sequence[Piece],
    codes: Sequence[PlanName],
) -> str:
    asked_bps = chapter.condition.link.uplink_bps
    x = bandwidth_axis(asked_bps, _LEFT, _RIGHT)
    shown = [line.seconds(bps) for piece in pieces for line in [lines[piece.line]] for bps in _ends(piece, x)]
    slow = [min(line.seconds(x.least), 30 * max(shown)) for _, line in references]
    y = LogAxis(min(shown) / 1.4, max(*shown, *slow) * 1.4, _BOTTOM, _TOP, "time of a request", format_duration)
    body = [element("title", "Time of a request against bandwidth"), *frame(x, y)]
    for label, line in references:
        points = [(x.at(bps), y.at(line.seconds(bps))) for bps in _within(line, x, y)]
        body.append(_path(points, "reference", label))
        body += _reference_label(label, points)
    for piece in pieces:
        body += _piece(piece, lines[piece.line], codes[piece.line], x, y)
    body += _codes(pieces, lines, codes, x, y)
    at = x.at(asked_bps)
    body.append(element("path", d=f"M{at:.1f},{_TOP} V{_BOTTOM}", class_="asked"))
    body.append(text(at + 6, _TOP - 8, "strong", f"asked: {format_bandwidth(asked_bps)}"))
    return element("svg", "".join(body), class_="chart", role="img", viewBox=f"0 0 {_WIDTH} {_HEIGHT}", width=_WIDTH)


def _ends(piece: Piece, x: LogAxis) -> list[float]:
    """The ends of the piece on the axis; none where it lies outside."""
    first, last = max(piece.from_bps, x.least), min(piece.to_bps, x.most)
    return [first, last] if first < last else []


def _within(line: TimeLine, x: LogAxis, y: LogAxis) -> list[float]:
    return [bps for bps in x.between(x.least, x.most, 120) if line.seconds(bps) <= y.most]


def _piece(piece: Piece, line: TimeLine, name: PlanName, x: LogAxis, y: LogAxis) -> Iterator[str]:
    if not _ends(piece, x):
        return
    points = [(x.at(bps), y.at(line.seconds(bps))) for bps in x.between(piece.from_bps, piece.to_bps, 24)]
    yield _path(points, "winner", f"{name.code}: {name.title}, {said_range(piece)}", name.colour)


def _codes(
    pieces: Sequence[Piece], lines: Sequence[TimeLine], codes: Sequence[PlanName], x: LogAxis, y: LogAxis
) -> Iterator[str]:
    """Each plan's code at the widest of its pieces, where there is room; below, for other plans' lines lie above."""
    widest: dict[str, tuple[float, float, float]] = {}
    for piece in pieces:
        if ends := _ends(piece, x):
            width, middle = x.at(ends[1]) - x.at(ends[0]), math.sqrt(ends[0] * ends[1])
            place = (width, x.at(middle), y.at(lines[piece.line].seconds(middle)))
            widest[codes[piece.line].code] = max(place, widest.get(codes[piece.line].code, place))
    for code, (width, at_x, at_y) in widest.items():
        if width > 26:
            yield text(at_x, at_y + 20, "halo", code, "middle")


def _reference_label(label: str, points: Sequence[tuple[float, float]]) -> Iterator[str]:
    """Edge-only's at its right end, cloud-only's at its left end: there they are far from the best plan."""
    if points and label == "edge-only":
        yield text(points[-1][0] - 4, points[-1][1] - 7, "halo plain", label, "end")
    elif points:
        yield text(points[0][0] + 14, points[0][1] + 14, "halo plain", label)


def _path(points: Sequence[tuple[float, float]], kind: str, label: str, colour: str = "currentColor") -> str:
    d = "M" + " L".join(f"{a:.1f},{b:.1f}" for a, b in points)
    return element("path", element("title", escaped(label)), d=d, class_=kind, stroke=colour) if points else ""


def _references(chapter: Chapter, graph: ModelGraph) -> list[tuple[str, TimeLine]]:
    """Edge-only and the best cloud-only plan, with the codecs that they have at the bandwidth asked about."""
    plans = [plan for plan in (chapter.plan, *chapter.others) if plan.predicted is not None]
    found = []
    for kind in ("edge-only", "cloud-only"):
        of_kind = [plan for plan in plans if plan.kind == kind]
        if of_kind:
            best = min(of_kind, key=_total_s)
            batch = chapter.setting.costing.batch
            up, down = (request_bytes(way, graph, batch) for way in (best.boundary, best.downlink))
            found.append((kind, _line_of(_total_s(best), up, down, chapter.condition.link)))
    return found


def _total_s(plan: Plan) -> float:
    return plan.predicted.total_s if plan.predicted is not None else math.inf


def _line_of(total_s: float, up: int, down: int, link: Link) -> TimeLine:
    """A plan's time over bandwidth, from its prediction at one bandwidth and the bytes of a request."""
    fixed_s = total_s - link.uplink_s(up) - link.downlink_s(down)
    return TimeLine(max(fixed_s, 0.0), 8 * (up + down * link.uplink_bps / link.downlink_bps))
