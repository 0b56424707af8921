"""A picture of a model with its cut, as SVG text. No dependency, so it works in a notebook and in a report."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from isthmus.units import format_duration, format_size
from partitioner.graph import ModelGraph
from partitioner.picture_stages import Stage, stages_of
from partitioner.plan import Plan, TensorCodec

__all__ = ["cut_picture"]

_COLUMN, _ROW, _MARGIN = 190, 96, 40
_BOX_WIDTH, _BOX_HEIGHT = 150, 56
_TOP = 104
_PER_ROW = 6
_EDGE_FILL, _CLOUD_FILL, _INK, _LINE, _CUT = "#f6c177", "#9ccfd8", "#26233a", "#8a8699", "#b4367a"
_STYLE = (
    "text{font-family:Helvetica,Arial,sans-serif;fill:" + _INK + "}"
    ".title{font-size:19px;font-weight:bold}.sub{font-size:13px}.name{font-size:12px;font-weight:bold}"
    ".small{font-size:11px}.cut{font-size:11px;fill:" + _CUT + ";font-weight:bold}"
)


@dataclass(frozen=True, slots=True)
class _Place:
    """The left upper corner of a stage's box, in pixels."""

    x: int
    y: int


def cut_picture(graph: ModelGraph, plan: Plan, most_stages: int = 24) -> str:
    """SVG of `graph` cut by `plan`: stages in rows from left to right, edge and cloud in two colours.

    Consecutive ops of one side are drawn as one stage, at most `most_stages` (2 or more) in all. What crosses is listed
    with codec and bytes below. Raises InvalidPlan where the plan is no cut of the graph.
    """
    stages = stages_of(graph, graph.check_closed(plan.edge_ops), most_stages)
    places = [_place(i) for i in range(len(stages))]
    rows = (len(stages) + _PER_ROW - 1) // _PER_ROW
    width = 2 * _MARGIN + min(_PER_ROW, max(len(stages), 4)) * _COLUMN
    list_top = _TOP + rows * _ROW + 16
    body = [
        *_title(plan),
        *_arrows(stages, places),
        *(part for stage, place in zip(stages, places, strict=True) for part in _box(stage, place)),
        *_crossing(plan, list_top),
    ]
    height = list_top + 22 * (len(plan.boundary) + len(plan.downlink) + len(plan.kept) + 2)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">\n'
        f"<style>{_STYLE}</style>\n{_MARKERS}\n"
        f'<rect width="{width}" height="{height}" fill="white"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


_MARKERS = (
    "<defs>"
    + "".join(
        f'<marker id="{name}" viewBox="0 0 8 8" refX="8" refY="4" orient="auto" '
        f'markerUnits="userSpaceOnUse" markerWidth="11" markerHeight="11">'
        f'<path d="M0,0 L8,4 L0,8 z" fill="{colour}"/></marker>'
        for name, colour in (("arrow", _LINE), ("cut", _CUT))
    )
    + "</defs>"
)


def _place(index: int) -> _Place:
    """Rows like lines of text: each starts at the left again."""
    row, column = divmod(index, _PER_ROW)
    return _Place(_MARGIN + column * _COLUMN, _TOP + row * _ROW)


def _title(plan: Plan) -> list[str]:
    title = _text(_MARGIN, 34, "title", f"{plan.model}: {plan.kind}")
    legend = [
        f'<rect x="{_MARGIN}" y="70" width="14" height="14" fill="{_EDGE_FILL}"/>',
        _text(_MARGIN + 20, 82, "sub", f"edge ({plan.edge_engine})"),
        f'<rect x="{_MARGIN + 150}" y="70" width="14" height="14" fill="{_CLOUD_FILL}"/>',
        _text(_MARGIN + 170, 82, "sub", f"cloud ({plan.cloud_engine})"),
        _text(_MARGIN + 300, 82, "small", f"plan {plan.plan_id}, input form: {plan.form}"),
    ]
    return [title, _text(_MARGIN, 56, "sub", _times(plan)), *legend]


def _times(plan: Plan) -> str:
    if plan.predicted is None:
        return "no prediction"
    p = plan.predicted
    stages = (("edge", p.edge_s), ("uplink", p.uplink_s), ("cloud", p.cloud_s), ("downlink", p.downlink_s))
    parts = " + ".join(f"{name} {format_duration(seconds)}" for name, seconds in stages if seconds > 0)
    return f"predicted {format_duration(p.total_s)} = {parts or '0 s'}"


def _box(stage: Stage, place: _Place) -> list[str]:
    fill = _EDGE_FILL if stage.on_edge else _CLOUD_FILL
    x, y = place.x, place.y
    middle = x + _BOX_WIDTH // 2
    work = f"{stage.flops / 1e6:.3g} MFLOP" if stage.flops else "no arithmetic"
    return [
        f'<rect x="{x}" y="{y}" width="{_BOX_WIDTH}" height="{_BOX_HEIGHT}" rx="7" fill="{fill}" stroke="{_INK}"/>',
        _text(middle, y + 18, "name", _shortened(stage.label, 22), "middle"),
        _text(middle, y + 33, "small", f"{stage.op_count} op{'s' if stage.op_count > 1 else ''}, {work}", "middle"),
        _text(middle, y + 47, "small", f"{format_size(stage.output_bytes)} out", "middle"),
    ]


def _arrows(stages: tuple[Stage, ...], places: list[_Place]) -> list[str]:
    return [
        _arrow(places[before], places[after], stages[before].on_edge != stages[after].on_edge, after - before)
        for after, stage in enumerate(stages)
        for before in stage.reads
    ]


def _arrow(start: _Place, end: _Place, crosses: bool, distance: int) -> str:
    """Straight to the next box, over the boxes to one further right, down and around to another row."""
    colour, marker, width = (_CUT, "cut", 3) if crosses else (_LINE, "arrow", 1.5)
    y0, y1 = start.y + _BOX_HEIGHT // 2, end.y + _BOX_HEIGHT // 2
    x0 = start.x + _BOX_WIDTH
    if start.y == end.y and distance == 1:
        path = f"M{x0},{y0} L{end.x},{y1}"
    elif start.y == end.y:
        top, middle = start.y - 18, end.x + _BOX_WIDTH // 2
        path = f"M{x0 - 20},{start.y} C{x0},{top} {middle - 20},{top} {middle - 8},{end.y}"
    else:
        lane = end.y - 22
        left = end.x - 14
        path = f"M{x0},{y0} L{x0 + 14},{y0} L{x0 + 14},{lane} L{left},{lane} L{left},{y1} L{end.x},{y1}"
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}" marker-end="url(#{marker})"/>'


def _crossing(plan: Plan, top: int) -> list[str]:
    up = [f"↑ to the cloud: {_described(tensor)}" for tensor in plan.boundary]
    down = [f"↓ to the edge: {_described(tensor)}" for tensor in plan.downlink]
    kept = [f"stays on the edge: {name}" for name in plan.kept]
    lines = [*up, *down, *kept] or ["nothing crosses"]
    return [_text(_MARGIN, top + 22 * i + 10, "cut", line) for i, line in enumerate(lines)]


def _described(tensor: TensorCodec) -> str:
    return f"{tensor.tensor} as {tensor.codec}, {format_size(tensor.bytes)}"


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _text(x: int, y: int, kind: str, text: str, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'
