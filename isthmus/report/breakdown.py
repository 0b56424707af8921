"""The chosen plan beside its alternatives: where the time of one request goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from isthmus.page.html import figure, section, swatch, table
from isthmus.report.facts import Chapter
from isthmus.report.plan_names import PlanName, plan_title
from isthmus.units import format_duration, format_size
from partitioner.graph import ModelGraph
from partitioner.plan import Plan, Prediction
from partitioner.request_bytes import request_bytes
from partitioner.svg import element, escaped, text, wrapped

__all__ = ["breakdown_section"]

_WIDTH, _LABEL, _ROW, _BAR = 1000, 250, 46, 24
_PARTS = ("edge", "uplink", "cloud", "downlink")


def breakdown_section(chapter: Chapter, names: Mapping[str, PlanName], graph: ModelGraph) -> str:
    """Stacked bars and their numbers: the chosen plan, edge-only, and each way to leave everything to the cloud."""
    op_count, batch = len(graph.ops), chapter.setting.costing.batch
    plans = _distinct((chapter.plan, *chapter.others))
    predicted = [(plan, plan.predicted) for plan in plans if plan.predicted is not None]
    caption = "Predicted time of one request over the link that was asked about; the chosen plan is first."
    return section(
        "The plan and what it beats",
        figure(_bars(predicted, op_count), caption),
        table(
            "The same as numbers. Uplink and downlink hold half of the round trip each.",
            ("", "plan", "edge", "uplink", "cloud", "downlink", "total", "beside the chosen", "bytes up"),
            [(*_row(plan, one, predicted[0][1], names, op_count), _up(plan, graph, batch)) for plan, one in predicted],
            numbers_from=2,
        ),
    )


def _distinct(plans: Sequence[Plan]) -> list[Plan]:
    return list({plan.plan_id: plan for plan in plans}.values())


def _row(
    plan: Plan, predicted: Prediction, chosen: Prediction, names: Mapping[str, PlanName], op_count: int
) -> tuple[str, ...]:
    name = names[plan.plan_id]
    ratio = predicted.total_s / chosen.total_s if chosen.total_s > 0 else 1.0
    parts = (predicted.edge_s, predicted.uplink_s, predicted.cloud_s, predicted.downlink_s, predicted.total_s)
    times = (format_duration(seconds) for seconds in parts)
    code = swatch(name.code, name.colour)
    return (code, plan_title(plan, op_count), *times, f"× {ratio:.3g}")


def _up(plan: Plan, graph: ModelGraph, batch: int) -> str:
    return format_size(request_bytes(plan.boundary, graph, batch))


def _bars(plans: Sequence[tuple[Plan, Prediction]], op_count: int) -> str:
    longest = max(predicted.total_s for _, predicted in plans) or 1.0
    rows = [element("title", "Predicted time of the chosen plan and its alternatives, by stage")]
    rows += _legend()
    for i, (plan, predicted) in enumerate(plans):
        rows += _bar(plan, predicted, (_WIDTH - _LABEL - 90) / longest, 44 + i * _ROW, op_count, i == 0)
    height = 44 + len(plans) * _ROW
    return element("svg", "".join(rows), class_="chart", role="img", viewBox=f"0 0 {_WIDTH} {height}", width=_WIDTH)


def _legend() -> Iterator[str]:
    for i, name in enumerate(_PARTS):
        x = _LABEL + i * 130
        yield element("rect", x=x, y=6, width=16, height=16, class_=f"part {name}")
        yield text(x + 24, 19, "tick", name)


def _bar(plan: Plan, predicted: Prediction, scale: float, top: float, op_count: int, chosen: bool) -> Iterator[str]:
    lines = wrapped(("chosen: " if chosen else "") + plan_title(plan, op_count), _LABEL - 10, 13)[:2]
    for i, line in enumerate(lines):
        yield text(0, top + (17 if len(lines) == 1 else 9 + 16 * i), "strong" if chosen else "label", line)
    x = float(_LABEL)
    for name in _PARTS:
        seconds = getattr(predicted, f"{name}_s")
        width = seconds * scale
        if width > 0:
            inside = element("title", escaped(f"{name}: {format_duration(seconds)}"))
            yield element("rect", inside, x=x, y=top, width=width, height=_BAR, class_=f"part {name}")
        if width > 52:
            yield text(x + width / 2, top + 16, "on-part", format_duration(seconds), "middle")
        x += width
    yield text(x + 8, top + 17, "strong", format_duration(predicted.total_s))
