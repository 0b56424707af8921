"""What codecs cost: accuracy against bytes for every codec at every cut of the frontier, where that was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from isthmus.page.axes import LogAxis
from isthmus.page.html import Markup, figure, paragraph, section, table
from isthmus.report.facts import Chapter
from isthmus.units import format_duration, format_size
from nodes.measure.answer_quality import AnswerQuality, Share
from nodes.measure.codec_survey import Family, SurveyRow
from partitioner.svg import element, escaped, text

__all__ = ["accuracy_section"]

_WIDTH, _HEIGHT = 1000, 420
_LEFT, _TOP, _RIGHT, _BOTTOM = 80, 50, 960, 350
_LEAST = 0.5  # below, nobody wants an answer

_FAMILIES: Mapping[Family, tuple[str, str]] = {
    "transform": ("#3f9461", "transform, by factor on its step"),
    "linear": ("#cf6142", "int8 to int3"),
    "lossless": ("#7a5cc4", "lossless"),
    "tiled": ("#94802a", "channels tiled into a picture"),
    "picture": ("#4376cc", "the input as a picture"),
}


def accuracy_section(chapter: Chapter, op_count: int) -> str:
    """The plot and its numbers, or why there are none."""
    rows = chapter.surveyed
    if not rows:
        return section("Accuracy", paragraph(_why_none(chapter)))
    within = 1.0 if chapter.budget is None else 1.0 - chapter.budget
    smallest = {_cut(row): row for row in sorted(rows, key=_bytes, reverse=True) if row.accuracy.value >= within}
    places = {cut: f"cut {number + 1}" if cut else "input" for number, cut in enumerate(dict.fromkeys(map(_cut, rows)))}
    return section(
        "Accuracy against bytes",
        figure(
            _plot(rows, within, places),
            f"How far the answers agree with the whole model's ({rows[0].accuracy.metric.replace('_', ' ')}), over the "
            f"bytes of one item, with 95 % intervals by source, on {rows[0].accuracy.n} calibration items. Where "
            "all of them agree, others may still not, unless the codec is lossless. The "
            "transform and the tiles' ends were calibrated on these very items; on others they lose a little more.",
        ),
        table(
            "Accuracy and bytes as numbers; in bold the smallest that keeps the budget at its cut",
            ("where", "ops on the edge", "codec", "bytes up", "agreement", "95 %", "encode", "decode", "in the plan"),
            [_row(row, places, op_count, bold=smallest.get(_cut(row)) is row) for row in rows],
            numbers_from=3,
        ),
        table(
            "What becomes of the answers, against the whole model's, with 95 % intervals by source",
            ("where", "codec", *_QUALITIES),
            [(places[row.edge_ops], row.codec, *_qualities(row.quality)) for row in rows],
            numbers_from=2,
        ),
    )


_QUALITIES = (
    "best class kept",
    "where it was sure",
    "right answers",
    "before",
    "KL, nats",
    "cosine",
    "closeness",
    "largest difference",
)


def _qualities(found: AnswerQuality) -> tuple[str, ...]:
    """Each of `_QUALITIES`, as far as it can be said."""
    shares = (
        found.top1_agreement, found.confident_agreement, found.accuracy, found.whole_accuracy, found.divergence,
        found.cosine, found.closeness,
    )  # fmt: skip
    return (*map(_share, shares), f"{found.max_abs:.2g}")


def _share(found: Share | None) -> str:
    return "–" if found is None else f"{found.value:.4f} ({found.low:.4f} to {found.high:.4f})"


def _why_none(chapter: Chapter) -> str:
    costing = chapter.setting.costing
    if costing.budget is not None:
        return f"No codecs are compared; a lossy one is used only where it was measured to keep {costing.budget.words}."
    if costing.lossless:
        return "No accuracy was measured; only codecs that keep every bit are allowed."
    return "No accuracy was measured; lossy codecs are allowed all the same."


def _cut(row: SurveyRow) -> tuple[str, ...]:
    return row.edge_ops


def _bytes(row: SurveyRow) -> float:
    return row.bytes.value


def _row(row: SurveyRow, places: Mapping[tuple[str, ...], str], op_count: int, *, bold: bool) -> tuple[str, ...]:
    found = row.accuracy
    name = Markup(element("strong", escaped(row.codec))) if bold else row.codec
    return (
        places[row.edge_ops],
        f"{len(row.edge_ops)} of {op_count}",
        name,
        format_size(row.bytes.value),
        f"{found.value:.4f}",
        f"{found.low:.4f} to {found.high:.4f}",
        format_duration(row.encode_s),
        format_duration(row.decode_s),
        format_size(row.parameter_bytes),
    )


def _plot(rows: Sequence[SurveyRow], within: float, places: Mapping[tuple[str, ...], str]) -> str:
    sizes = [max(1.0, _bytes(row)) for row in rows]
    x = LogAxis(min(sizes) / 1.5, max(sizes) * 1.5, _LEFT, _RIGHT, "bytes to the cloud", format_size)
    least = max(_LEAST, min(0.9, *(row.accuracy.low for row in rows)))
    body = [element("title", "Accuracy against bytes"), *_frame(x, least), *_legend(rows)]
    body.append(element("path", d=f"M{_LEFT},{_at(within, least):.1f} H{_RIGHT}", class_="asked"))
    for (cut, family), group in groupby(rows, key=lambda row: (row.edge_ops, row.family)):
        body += _series(list(group), family, places[cut], x, least)
    return element("svg", "".join(body), class_="chart", role="img", viewBox=f"0 0 {_WIDTH} {_HEIGHT}", width=_WIDTH)


def _series(rows: Sequence[SurveyRow], family: Family, place: str, x: LogAxis, least: float) -> Iterator[str]:
    """The codecs of one family at one cut, in the order of their bytes; the line's left end says where."""
    colour = _FAMILIES[family][0]
    ordered = sorted(rows, key=_bytes)
    points = [(x.at(_bytes(row)), _at(row.accuracy.value, least)) for row in ordered]
    if family in ("transform", "linear"):
        d = "M" + " L".join(f"{a:.1f},{b:.1f}" for a, b in points)
        yield element("path", d=d, fill="none", stroke=colour, stroke_width=1.2)
    for row, (at_x, at_y) in zip(ordered, points, strict=True):
        found = row.accuracy
        d = f"M{at_x:.1f},{_at(found.low, least):.1f} V{_at(found.high, least):.1f}"
        yield element("path", d=d, stroke=colour, stroke_width=1, opacity=0.35)
        said = f"{place}, {row.codec}: {found.value:.4f} at {format_size(_bytes(row))}"
        title = element("title", escaped(said))
        yield element("circle", title, cx=f"{at_x:.1f}", cy=f"{at_y:.1f}", r=4, style=f"fill:{colour}")
    if family in ("transform", "linear"):
        yield text(points[0][0] - 7, points[0][1] + 4, "halo plain", place, "end")


def _legend(rows: Sequence[SurveyRow]) -> Iterator[str]:
    at = float(_LEFT)
    for family in dict.fromkeys(row.family for row in rows):
        colour, said = _FAMILIES[family]
        yield element("circle", cx=at + 5, cy=22, r=5, style=f"fill:{colour}")
        yield text(at + 16, 26, "tick", said)
        at += 40 + 7 * len(said)


def _at(value: float, least: float) -> float:
    return _BOTTOM - (max(value, least) - least) / (1.0 - least) * (_BOTTOM - _TOP)


def _frame(x: LogAxis, least: float) -> list[str]:
    parts = []
    for value in x.ticks():
        parts.append(element("path", d=f"M{x.at(value):.1f},{_BOTTOM} V{_TOP}", class_="grid"))
        parts.append(text(x.at(value), _BOTTOM + 18, "tick", format_size(value), "middle"))
    for i in range(6):
        value = least + (1.0 - least) * i / 5
        parts.append(element("path", d=f"M{_LEFT},{_at(value, least):.1f} H{_RIGHT}", class_="grid"))
        parts.append(text(_LEFT - 8, _at(value, least) + 4, "tick", f"{value:.3g}", "end"))
    parts.append(text((x.start + x.stop) / 2, _BOTTOM + 38, "axis", x.label, "middle"))
    return parts
