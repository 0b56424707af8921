"""What lossy codecs cost: accuracy against bytes, where it was measured."""

from __future__ import annotations

from collections.abc import Sequence

from isthmus.report.axes import LogAxis
from isthmus.report.facts import Chapter
from isthmus.report.html import figure, paragraph, section, table
from isthmus.report.plan_names import codecs_of, plan_title
from isthmus.units import format_size
from partitioner.plan_table import Accuracy, PlanEntry
from partitioner.svg import element, escaped, text

__all__ = ["accuracy_section"]

_WIDTH, _HEIGHT = 1000, 340
_LEFT, _TOP, _RIGHT, _BOTTOM = 80, 30, 960, 280

_Measured = tuple[PlanEntry, Accuracy]


def accuracy_section(chapter: Chapter, op_count: int) -> str:
    """Points of bytes and accuracy, or why there are none."""
    points = [(entry, entry.accuracy) for entry in chapter.measured if entry.accuracy is not None]
    if not points:
        lossless = chapter.setting.costing.lossless
        why = "only codecs that keep every bit are allowed" if lossless else "lossy codecs are allowed all the same"
        return section("Accuracy", paragraph(f"No accuracy was measured; {why}."))
    points.sort(key=lambda point: point[0].uplink_bytes(1))
    return section(
        "Accuracy against bytes",
        figure(
            _plot(points),
            "Plans with lossy codecs: how far they agree with the whole model, over the bytes of one item.",
        ),
        table(
            "Accuracy and bytes as numbers",
            ("plan", "going up", "bytes up", "metric", "value", "samples"),
            [_row(entry, accuracy, op_count) for entry, accuracy in points],
            numbers_from=2,
        ),
    )


def _row(entry: PlanEntry, accuracy: Accuracy, op_count: int) -> tuple[str, ...]:
    return (
        plan_title(entry.plan, op_count),
        codecs_of(entry.plan.boundary),
        format_size(entry.uplink_bytes(1)),
        accuracy.metric.replace("_", " "),
        f"{accuracy.value:.4f}",
        str(accuracy.n),
    )


def _plot(points: Sequence[_Measured]) -> str:
    sizes = [max(1, entry.uplink_bytes(1)) for entry, _ in points]
    x = LogAxis(min(sizes) / 2, max(sizes) * 2, _LEFT, _RIGHT, "bytes to the cloud", format_size)
    least = min(0.9, *(accuracy.value for _, accuracy in points))
    body = [element("title", "Accuracy against bytes"), *_frame(x, least)]
    for (entry, accuracy), size in zip(points, sizes, strict=True):
        at_x, at_y = x.at(size), _at(accuracy.value, least)
        said = f"{codecs_of(entry.plan.boundary)}: {accuracy.value:.4f} at {format_size(size)}"
        body.append(element("circle", element("title", escaped(said)), cx=at_x, cy=at_y, r=6, style="fill:var(--mark)"))
        codecs = "+".join(dict.fromkeys(tensor.codec for tensor in entry.plan.boundary))
        body.append(text(at_x + 10, at_y + 16, "tick", codecs))
    return element("svg", "".join(body), class_="chart", role="img", viewBox=f"0 0 {_WIDTH} {_HEIGHT}", width=_WIDTH)


def _at(value: float, least: float) -> float:
    return _BOTTOM - (value - least) / (1.0 - least) * (_BOTTOM - _TOP) if least < 1.0 else _TOP


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
