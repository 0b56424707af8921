"""A picture of a model with its cut, as SVG text. No dependency, so it works in a notebook and in a report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from isthmus.units import format_duration, format_flops, format_size
from partitioner.graph import ModelGraph
from partitioner.picture_lanes import BOX_WIDTH, PILL_HEIGHT, PILL_WIDTH, Box, Bypass, Layout, Pill, layout_of
from partitioner.picture_stages import Stage, stages_of
from partitioner.picture_style import STYLE, markers
from partitioner.plan import Plan
from partitioner.request_bytes import request_bytes
from partitioner.svg import element, escaped, shortened, text, wrapped

__all__ = ["cut_picture"]

_MARGIN = 24
_BAR_TOP, _BAR_HEIGHT = 84, 16
_LANES_TOP, _BOXES_TOP = 128, 196
_LABEL_CHARACTERS, _PILL_CHARACTERS = 36, 27
_PARTS = ("edge", "uplink", "cloud", "downlink")


def cut_picture(
    graph: ModelGraph,
    plan: Plan,
    most_stages: int = 16,
    op_seconds: Mapping[str, float] | None = None,
    batch: int = 1,
) -> str:
    """SVG of `graph` cut by `plan`: a lane for the edge, the link and the cloud, time from top to bottom.

    Repeated blocks and long chains of ops are drawn as one stage each, at most `most_stages` (2 or more) in all; every
    tensor that crosses is drawn, with its codec and bytes, but where more than a dozen do, those between the same boxes
    are one bundle. op_seconds: of each op where it runs, for the times of the stages. batch: the items of the request
    that is drawn: those that the plan was predicted for, and that `op_seconds` are of; sizes and FLOPs are of them all.
    Raises InvalidPlan where the plan is no cut of the graph.
    """
    stages = stages_of(graph, graph.check_closed(plan.edge_ops), most_stages, batch)
    layout = layout_of(graph, plan, stages, _BOXES_TOP)
    drawing = _Drawing(graph, plan, stages, layout, op_seconds or {}, batch)
    width, height = f"{layout.width:g}", f"{drawing.height:g}"
    head = f"<title>{escaped(_headline(graph, plan, batch))}</title>\n<style>{STYLE}</style>\n{markers(plan.plan_id)}"
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" class="cut" role="img" '
        f'width="{width}" height="{height}" viewBox="0 0 {width} {height}">\n'
        f"{head}\n" + "\n".join(drawing.parts()) + "\n</svg>\n"
    )


def _headline(graph: ModelGraph, plan: Plan, batch: int) -> str:
    total, here = len(graph.ops), len(plan.edge_ops)
    items = f", {batch} items a request" if batch > 1 else ""
    said = {"edge-only": f"all {total} ops on the edge", "cloud-only": f"all {total} ops in the cloud"}
    return f"{plan.model}{items}: {plan.kind}, " + said.get(plan.kind, f"{here} of {total} ops on the edge")


class _Drawing:
    def __init__(
        self,
        graph: ModelGraph,
        plan: Plan,
        stages: Sequence[Stage],
        layout: Layout,
        op_seconds: Mapping[str, float],
        batch: int,
    ) -> None:
        self._graph, self._plan, self._layout, self._stages, self._batch = graph, plan, layout, stages, batch
        self._seconds = [math.fsum(op_seconds.get(op, 0.0) for op in stage.ops) for stage in stages]
        notes = _notes(plan, timed=any(self._seconds))
        self._notes = [line for note in notes for line in wrapped(note, layout.width - 2 * _MARGIN, 11)]
        self.height = layout.bottom + 34 + 16 * len(self._notes) + 12

    def parts(self) -> Iterator[str]:
        """All elements, what lies below first."""
        yield element("rect", width=self._layout.width, height=self.height, class_="page")
        yield from self._head()
        yield from self._lanes()
        yield from self._wires()
        for box in self._layout.boxes:
            yield element("g", "".join(self._box(box)))
        for pill in self._layout.pills:
            yield element("g", "".join(self._pill(pill)))
        for i, line in enumerate(self._notes):
            yield text(_MARGIN, self._layout.bottom + 42 + 16 * i, "note", line)

    def _head(self) -> Iterator[str]:
        head, _, rest = _headline(self._graph, self._plan, self._batch).partition(": ")
        yield text(_MARGIN, 38, "title", shortened(f"{head}: {rest}", 80))
        if self._plan.predicted is None:
            yield text(_MARGIN, 66, "sub", "no prediction")
            return
        yield text(_MARGIN, 66, "sub", self._times())
        yield from self._bar()

    def _times(self) -> str:
        parts = " + ".join(f"{name} {format_duration(seconds)}" for name, seconds in self._parts() if seconds > 0)
        total = self._plan.predicted.total_s if self._plan.predicted is not None else 0.0
        return f"predicted {format_duration(total)} = {parts or '0 s'}"

    def _parts(self) -> list[tuple[str, float]]:
        predicted = self._plan.predicted
        return [(name, getattr(predicted, f"{name}_s")) for name in _PARTS] if predicted is not None else []

    def _bar(self) -> Iterator[str]:
        """The four parts of the predicted time, to scale; a name where it fits."""
        x, full = float(_MARGIN), self._layout.width - 2 * _MARGIN
        total = math.fsum(seconds for _, seconds in self._parts())
        for name, seconds in self._parts():
            width = full * seconds / total if total > 0 else 0.0
            if width > 0:
                yield element("rect", x=x, y=_BAR_TOP, width=width, height=_BAR_HEIGHT, class_=f"part {name}")
            if width > 8 * len(name):
                yield text(x + width / 2, _BAR_TOP + 12, "on-part", name, "middle")
            x += width

    def _lanes(self) -> Iterator[str]:
        layout, height = self._layout, self._layout.bottom + 12 - _LANES_TOP
        left, right = layout.link_x - 33, layout.cloud_x - 33
        edges = (("edge", 12.0, left), ("link", left, right), ("cloud", right, layout.width - 12))
        for name, start, stop in edges:
            yield element("rect", x=start, y=_LANES_TOP, width=stop - start, height=height, class_=f"lane {name}")
        if self._plan.kind != "edge-only":
            middle = layout.link_x + PILL_WIDTH / 2
            yield element("path", d=f"M{middle:g},{_BOXES_TOP - 14} V{layout.bottom + 4:g}", class_="cut-line")
        titles = zip((layout.edge_x, layout.link_x, layout.cloud_x), ("edge", "link", "cloud"), strict=True)
        for (x, lane), said in zip(titles, self._titles(), strict=True):
            yield text(x, _LANES_TOP + 24, "lane-name", lane)
            yield text(x, _LANES_TOP + 42, "small", said)

    def _titles(self) -> tuple[str, str, str]:
        """What each lane holds, and for how long."""
        plan, seconds = self._plan, dict(self._parts())
        here, there = len(plan.edge_ops), len(self._graph.ops) - len(plan.edge_ops)
        up, down = (request_bytes(way, self._graph, self._batch) for way in (plan.boundary, plan.downlink))
        link = f"↑ {format_size(up)}{_in(seconds, 'uplink')}; ↓ {format_size(down)}{_in(seconds, 'downlink')}"
        return (
            f"{_ops(here)} by {plan.edge_engine}{_in(seconds, 'edge')}",
            link if plan.boundary or plan.downlink else "nothing crosses",
            f"{_ops(there)} by {plan.cloud_engine}{_in(seconds, 'cloud')}" if there else "nothing runs here",
        )

    def _wires(self) -> Iterator[str]:
        boxes = self._layout.boxes
        for a, b in self._layout.steps:
            x = boxes[a].x + BOX_WIDTH / 2
            yield _wire("wire", f"M{x:g},{boxes[a].y + boxes[a].height:g} V{boxes[b].y:g}", self._plan)
        for bypass in self._layout.bypasses:
            yield from _around(boxes, bypass, self._plan)
        for pill in self._layout.pills:
            yield from _across(boxes, pill, self._plan)

    def _box(self, box: Box) -> Iterator[str]:
        if box.kind != "stage":
            yield from self._end(box)
            return
        stage, seconds = self._stages[box.stage], self._seconds[box.stage]
        side = "edge" if stage.on_edge else "cloud"
        yield element("title", escaped(_tooltip(stage)))
        for behind in range(min(stage.repeats - 1, 2), 0, -1):
            inset = 5 * behind
            yield _rect(box.x + inset, box.y + 4 * behind, BOX_WIDTH - 2 * inset, box.height, f"box {side}")
        yield _rect(box.x, box.y, BOX_WIDTH, box.height, f"box {side}")
        yield from self._share(box, seconds)
        room = _LABEL_CHARACTERS - (8 if seconds else 0)
        yield text(box.x + 12, box.y + 20, "name", _repeated(stage, room))
        yield text(box.x + 12, box.y + 37, "small", _work(stage))
        if seconds:
            yield text(box.x + BOX_WIDTH - 12, box.y + 20, "name", format_duration(seconds), "end")

    def _share(self, box: Box, seconds: float) -> Iterator[str]:
        """A bar along the box's foot: the stage's time beside the longest stage's."""
        longest = max(self._seconds)
        if seconds > 0:
            width = (BOX_WIDTH - 24) * seconds / longest
            yield element("rect", x=box.x + 12, y=box.y + box.height - 7, width=width, height=3, class_="share")

    def _end(self, box: Box) -> Iterator[str]:
        """Inputs, or the answer."""
        what = "answer" if box.kind == "answer" else "input"
        tensors = (self._graph.tensors[name] for name in dict.fromkeys(box.tensors))
        sizes = format_size(sum(tensor.bytes_at(self._batch) for tensor in tensors))
        yield element("title", escaped(f"{what}: {', '.join(box.tensors)}"))
        yield _rect(box.x, box.y, BOX_WIDTH, box.height, "box end", box.height / 2)
        said = f"{what}: {', '.join(box.tensors)}"
        yield text(box.x + 16, box.middle + 4, "name", shortened(said, _LABEL_CHARACTERS - 5))
        yield text(box.x + BOX_WIDTH - 16, box.middle + 4, "small", sizes, "end")

    def _pill(self, pill: Pill) -> Iterator[str]:
        tensors, way = pill.tensors, "↑" if pill.up else "↓"
        plain = format_size(sum(self._graph.tensors[one.tensor].bytes_at(self._batch) for one in tensors))
        sent = format_size(request_bytes(tensors, self._graph, self._batch))
        size = sent if sent == plain else f"{plain} → {sent}"
        name = tensors[0].tensor if len(tensors) == 1 else f"{len(tensors)} tensors"
        codecs = ", ".join(dict.fromkeys(one.codec for one in tensors))
        held = "" if len(tensors) == 1 else f": {', '.join(one.tensor for one in tensors)}"
        yield element("title", escaped(f"{name} as {codecs}, {size} on the wire{held}"))
        yield _rect(pill.x, pill.y, PILL_WIDTH, PILL_HEIGHT, "pill " + ("up" if pill.up else "down"), 10)
        yield text(pill.x + 12, pill.y + 18, "name", f"{way} {shortened(name, _PILL_CHARACTERS - 2)}")
        yield text(pill.x + 12, pill.y + 34, "small", f"{shortened(codecs, 12)}, {size}")


def _notes(plan: Plan, *, timed: bool) -> Iterable[str]:
    """Where the numbers come from; an emulated slowdown is in the device's line. timed: whether the boxes are."""
    yield f"plan {plan.plan_id}, input form: {plan.form}"
    if timed and "halves" in plan.provenance:
        yield f"lanes: {plan.provenance['halves']}; boxes: sums of op times, which need not add up to them"
    for key in ("edge", "cloud", "link", "accuracy"):
        if key in plan.provenance:
            yield f"{key}: {plan.provenance[key]}"


def _ops(count: int) -> str:
    return f"{count} op{'' if count == 1 else 's'}"


def _in(seconds: Mapping[str, float], part: str) -> str:
    return f", {format_duration(seconds[part])}" if part in seconds else ""


def _repeated(stage: Stage, most: int) -> str:
    """What the stage does, and how often, in about `most` characters; a single op has its name."""
    if len(stage.ops) == 1 and stage.label[0] in stage.ops[0]:
        return shortened(stage.ops[0], most)
    if len(stage.ops) == 1 and len(stage.label[0]) < most - 8:
        return f"{stage.label[0]}: {shortened(stage.ops[0], most - len(stage.label[0]) - 2)}"
    if stage.repeats == 1:
        return _listed(stage.label, most)
    return f"{stage.repeats} × ({_listed(stage.label, most - 6)})"


def _listed(words: Sequence[str], most: int) -> str:
    """As many words as fit, the first at least."""
    shown = shortened(words[0], most)
    for i, word in enumerate(words[1:], start=1):
        if len(shown) + len(word) + (2 if i == len(words) - 1 else 5) > most:
            return f"{shown}, …"
        shown += f", {word}"
    return shown


def _work(stage: Stage) -> str:
    ops = _ops(len(stage.ops))
    if stage.repeats > 1:
        ops += f" ({len(stage.ops) // stage.repeats} each)"
    return f"{ops}, {format_flops(stage.flops)}, hands on {format_size(stage.output_bytes)}"


def _tooltip(stage: Stage) -> str:
    names = stage.ops[0] if len(stage.ops) == 1 else f"{stage.ops[0]} to {stage.ops[-1]}"
    times = f"{stage.repeats} times " if stage.repeats > 1 else ""
    return f"{times}{', '.join(stage.label)}: {names}"


def _rect(x: float, y: float, width: float, height: float, kind: str, radius: float = 7) -> str:
    return element("rect", x=x, y=y, width=width, height=height, rx=radius, class_=kind)


def _wire(kind: str, path: str, plan: Plan) -> str:
    head = "cut-arrow" if kind == "crossing" else "arrow"
    return element("path", d=path, class_=kind, marker_end=f"url(#isthmus-{head}-{plan.plan_id})")


def _around(boxes: Sequence[Box], bypass: Bypass, plan: Plan) -> Iterator[str]:
    """Out of the source's side, down the bypass, and back into the side of each sink."""
    source = boxes[bypass.source]
    out = source.x if bypass.x < source.x else source.x + BOX_WIDTH
    start = source.middle + source.height / 4
    for sink in bypass.sinks:
        end = boxes[sink].middle - boxes[sink].height / 4
        yield _wire("wire", f"M{out:g},{start:g} H{bypass.x:g} V{end:g} H{out:g}", plan)


def _across(boxes: Sequence[Box], pill: Pill, plan: Plan) -> Iterator[str]:
    """From a box to the pill, and from the pill to the boxes of the other side."""
    near, far = (pill.x, pill.x + PILL_WIDTH) if pill.up else (pill.x + PILL_WIDTH, pill.x)
    middle = pill.y + PILL_HEIGHT / 2
    source = boxes[pill.source]
    yield _wire("crossing", _curve(source.x + (BOX_WIDTH if pill.up else 0), source.middle, near, middle), plan)
    for sink in pill.sinks:
        end = boxes[sink]
        yield _wire("crossing", _curve(far, middle, end.x + (0 if pill.up else BOX_WIDTH), end.middle), plan)


def _curve(x0: float, y0: float, x1: float, y1: float) -> str:
    bend = (x1 - x0) / 2
    return f"M{x0:g},{y0:g} C{x0 + bend:g},{y0:g} {x1 - bend:g},{y1:g} {x1:g},{y1:g}"
