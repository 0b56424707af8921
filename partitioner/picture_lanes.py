"""Where everything of a cut's picture stands: three lanes (edge, link, cloud), time from top to bottom."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from partitioner.graph import ModelGraph
from partitioner.picture_stages import Stage
from partitioner.plan import Plan, TensorCodec

__all__ = ["BOX_WIDTH", "MOST_ALONE", "PILL_HEIGHT", "PILL_WIDTH", "Box", "Bypass", "Layout", "Pill", "layout_of"]

BOX_WIDTH, PILL_WIDTH, PILL_HEIGHT = 304, 216, 44
_STAGE_HEIGHT, _INPUT_HEIGHT, _STAGE_GAP = 50, 34, 18
_PILL_GAP, _WIRE_ROOM = 10, 66
_MARGIN, _BYPASS_STEP, _BYPASS_ROOM = 24, 9, 84
MOST_ALONE = 12
"""As many tensors that cross can be followed; of more, those between the same boxes are one bundle."""

_Way = tuple[int, tuple[int, ...]]
"""From one box to others, by number."""


@dataclass(frozen=True, slots=True)
class Box:
    """Something in the edge's or the cloud's lane. stage: its number. tensors: of inputs, or of the answer."""

    kind: Literal["input", "stage", "answer"]
    x: float
    y: float
    height: float
    stage: int = -1
    tensors: tuple[str, ...] = ()

    @property
    def middle(self) -> float:
        """Half way down."""
        return self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class Pill:
    """A tensor that crosses, or a bundle of such: from one box to others. `up`: to the cloud."""

    tensors: tuple[TensorCodec, ...]
    up: bool
    x: float
    y: float
    source: int
    sinks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Bypass:
    """From a box around the next ones to later boxes of the same lane, down a vertical at `x`."""

    source: int
    sinks: tuple[int, ...]
    x: float


@dataclass(frozen=True, slots=True)
class Layout:
    """boxes: edge lane first, the answer last. steps: from a box to the next below, by number."""

    boxes: tuple[Box, ...]
    pills: tuple[Pill, ...]
    steps: tuple[tuple[int, int], ...]
    bypasses: tuple[Bypass, ...]
    edge_x: float
    link_x: float
    cloud_x: float
    top: float
    bottom: float
    width: float


def layout_of(graph: ModelGraph, plan: Plan, stages: Sequence[Stage], top: float) -> Layout:
    """The places of inputs, `stages`, tensors that cross and the answer, from `top` down."""
    return _Placing(graph, plan, stages, top).layout()


class _Placing:
    def __init__(self, graph: ModelGraph, plan: Plan, stages: Sequence[Stage], top: float) -> None:
        self._graph, self._plan, self._stages, self._top = graph, plan, stages, top
        self._stage_of = {op: i for i, stage in enumerate(stages) for op in stage.ops}
        self._kept = tuple(dict.fromkeys(plan.kept))
        self._inputs = self._input_groups()
        self._edge_stages = [i for i, stage in enumerate(stages) if stage.on_edge]
        self._cloud_stages = [i for i, stage in enumerate(stages) if not stage.on_edge]
        self._answer = len(self._inputs) + len(stages)
        self._flows = self._flows_within()

    def layout(self) -> Layout:
        """Columns first, as wide as the bypasses need; then the rows."""
        edge_lanes, cloud_lanes = (_tracks(self._long_flows(side)) for side in (True, False))
        edge_x = _MARGIN + _room(edge_lanes)
        link_x = edge_x + BOX_WIDTH + _WIRE_ROOM
        cloud_x = link_x + PILL_WIDTH + _WIRE_ROOM
        boxes = self._boxes(edge_x, cloud_x)
        pills = self._pills(boxes, link_x)
        answer = self._answer_box(boxes, pills, edge_x)
        everything = (*boxes, answer)
        bottom = max(*(box.y + box.height for box in everything), *(pill.y + PILL_HEIGHT for pill in pills), 0.0)
        bypasses = (
            *_bypasses(edge_lanes, lambda step: edge_x - step),
            *_bypasses(cloud_lanes, lambda step: cloud_x + BOX_WIDTH + step),
        )
        width = cloud_x + BOX_WIDTH + _room(cloud_lanes) + _MARGIN
        return Layout(everything, pills, self._steps(), bypasses, edge_x, link_x, cloud_x, self._top, bottom, width)

    def _input_groups(self) -> list[tuple[str, ...]]:
        """An input that crosses stands alone, the others together."""
        crossing = {tensor.tensor for tensor in self._plan.boundary}
        alone: list[tuple[str, ...]] = [(name,) for name in self._graph.inputs if name in crossing]
        rest = tuple(name for name in self._graph.inputs if name not in crossing)
        return [*alone, rest] if rest else alone

    def _box_making(self, tensor: str) -> int:
        """The number of the box that a tensor comes from."""
        producer = self._graph.tensors[tensor].producer
        if producer is not None:
            return len(self._inputs) + self._stage_of[producer]
        return next((i for i, names in enumerate(self._inputs) if tensor in names), len(self._inputs))

    def _readers(self, tensor: str, *, on_edge: bool) -> list[int]:
        stages = {self._stage_of[op] for op in self._graph.tensors[tensor].consumers}
        return sorted(len(self._inputs) + i for i in stages if self._stages[i].on_edge == on_edge)

    def _flows_within(self) -> dict[int, list[int]]:
        """What each box hands to boxes of its own lane."""
        flows: dict[int, set[int]] = {}
        for number, names in enumerate(self._inputs):
            flows[number] = {reader for name in names for reader in self._readers(name, on_edge=True)}
        for i, stage in enumerate(self._stages):
            for before in stage.reads:
                if self._stages[before].on_edge == stage.on_edge:
                    flows.setdefault(len(self._inputs) + before, set()).add(len(self._inputs) + i)
        for name in self._kept:
            flows.setdefault(self._box_making(name), set()).add(self._answer)
        return {source: sorted(sinks) for source, sinks in flows.items() if sinks}

    def _column(self, on_edge: bool) -> list[int]:
        """The boxes of a lane from top to bottom."""
        if not on_edge:
            return [len(self._inputs) + i for i in self._cloud_stages]
        return [*range(len(self._inputs) + len(self._edge_stages)), self._answer]

    def _steps(self) -> tuple[tuple[int, int], ...]:
        neighbours = [pair for side in (True, False) for pair in _pairs(self._column(side))]
        return tuple((a, b) for a, b in neighbours if b in self._flows.get(a, ()))

    def _long_flows(self, on_edge: bool) -> list[tuple[int, tuple[int, ...]]]:
        """What passes by the next box: source and sinks as numbers of boxes."""
        column = self._column(on_edge)
        after = dict(_pairs(column))
        found = []
        for box in column:
            sinks = tuple(sink for sink in self._flows.get(box, ()) if sink != after.get(box))
            if sinks:
                found.append((box, sinks))
        return found

    def _boxes(self, edge_x: float, cloud_x: float) -> list[Box]:
        boxes, y = [], self._top
        for names in self._inputs:
            boxes.append(Box("input", edge_x, y, _INPUT_HEIGHT, tensors=names))
            y += _INPUT_HEIGHT + _STAGE_GAP
        for i in self._edge_stages:
            boxes.append(Box("stage", edge_x, y, _STAGE_HEIGHT, i))
            y += _STAGE_HEIGHT + _STAGE_GAP
        y = boxes[-1].y if boxes else self._top  # the cloud begins beside the edge's last box
        for i in self._cloud_stages:
            boxes.append(Box("stage", cloud_x, y, _STAGE_HEIGHT, i))
            y += _STAGE_HEIGHT + _STAGE_GAP
        return boxes

    def _pills(self, boxes: Sequence[Box], x: float) -> tuple[Pill, ...]:
        """Each at half the way between its ends, or below the one before it; answers below all others."""
        placed, y = [], self._top
        for way, tensors in sorted(_bundled(self._ways_up()), key=lambda one: _half_way(boxes, *one[0])):
            y = max(y, _half_way(boxes, *way) - PILL_HEIGHT / 2)
            placed.append(Pill(tensors, True, x, y, *way))
            y += PILL_HEIGHT + _PILL_GAP
        for (source, sinks), tensors in _bundled(self._ways_down()):
            y = max(y, boxes[source].y + _STAGE_HEIGHT - PILL_HEIGHT / 2)
            placed.append(Pill(tensors, False, x, y, source, sinks))
            y += PILL_HEIGHT + _PILL_GAP
        return tuple(placed)

    def _ways_up(self) -> Iterable[tuple[_Way, TensorCodec]]:
        for tensor in self._plan.boundary:
            yield (self._box_making(tensor.tensor), tuple(self._readers(tensor.tensor, on_edge=False))), tensor

    def _ways_down(self) -> Iterable[tuple[_Way, TensorCodec]]:
        return (((self._box_making(tensor.tensor), (self._answer,)), tensor) for tensor in self._plan.downlink)

    def _answer_box(self, boxes: Sequence[Box], pills: Sequence[Pill], x: float) -> Box:
        edge_bottom = max((box.y + box.height for box in boxes if box.x == x), default=self._top - _STAGE_GAP)
        last = max((pill.y for pill in pills if not pill.up), default=0.0)
        return Box("answer", x, max(edge_bottom + _STAGE_GAP, last), _INPUT_HEIGHT, tensors=self._graph.outputs)


def _bundled(tensors: Iterable[tuple[_Way, TensorCodec]]) -> list[tuple[_Way, tuple[TensorCodec, ...]]]:
    """Each tensor by itself; where more than `MOST_ALONE` cross, those of one way together."""
    given = list(tensors)
    if len(given) <= MOST_ALONE:
        return [(way, (tensor,)) for way, tensor in given]
    ways: dict[_Way, list[TensorCodec]] = {}
    for way, tensor in given:
        ways.setdefault(way, []).append(tensor)
    return [(way, tuple(several)) for way, several in ways.items()]


def _half_way(boxes: Sequence[Box], source: int, sinks: Sequence[int]) -> float:
    return (boxes[source].middle + boxes[sinks[0] if sinks else source].middle) / 2


def _pairs(column: Sequence[int]) -> list[tuple[int, int]]:
    return list(pairwise(column))


def _tracks(flows: Sequence[tuple[int, tuple[int, ...]]]) -> list[list[tuple[int, tuple[int, ...]]]]:
    """Flows that do not overlap share a track; the short ones run nearest to the boxes."""
    tracks: list[list[tuple[int, tuple[int, ...]]]] = []
    for flow in sorted(flows, key=lambda one: one[1][-1] - one[0]):
        for track in tracks:
            if all(flow[1][-1] <= start or sinks[-1] <= flow[0] for start, sinks in track):
                track.append(flow)
                break
        else:
            tracks.append([flow])
    return tracks


def _step(tracks: Sequence[object]) -> float:
    return min(_BYPASS_STEP, _BYPASS_ROOM / max(1, len(tracks)))


def _room(tracks: Sequence[object]) -> float:
    return _step(tracks) * len(tracks) + (8 if tracks else 0)


def _bypasses(
    tracks: Sequence[Sequence[tuple[int, tuple[int, ...]]]], at: Callable[[float], float]
) -> Iterable[Bypass]:
    step = _step(tracks)
    for number, track in enumerate(tracks, start=1):
        yield from (Bypass(source, sinks, at(8 + step * (number - 0.5))) for source, sinks in track)
