"""What went on when: times and arrivals, plans, queues and replicas over the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from isthmus.page.axes import Axis, LinearAxis, LogAxis, frame
from isthmus.page.html import figure
from isthmus.page.palette import LINES
from isthmus.units import format_bandwidth, format_duration
from partitioner.svg import element, escaped, text
from simulations.answers.over_time import Line, OverTime, SeriesOverTime
from simulations.answers.summary import Summary
from simulations.report.drawing import TimeAxis, canvas, legend, line, shade, steps
from simulations.report.plan_labels import PlanLabel
from simulations.run_record import Measure

__all__ = ["plans_figure", "queues_figure", "times_figure"]

_TALL, _LOW, _GAP = 220, 90, 62
_MEASURES: Mapping[Measure, str] = {
    "edge_queue_s": "work waiting at edges",
    "uplink_queue_s": "waiting for uplinks",
    "cloud_queue_s": "work waiting at replicas",
    "replicas": "replicas that run",
    "uplink_bps": "uplink, as it is",
    "uplink_estimate_bps": "uplink, as believed",
}


def times_figure(answers: Summary) -> str:
    """Median and 99th percentile of each window, and below it what came and what got no answer."""
    time, x = answers.over_time, TimeAxis(answers.duration_s)
    known = [value for value in (*time.p50_s, *time.p99_s) if value]
    if answers.slo is not None:
        known.append(answers.slo.within_s)
    if not known:
        return ""
    keys, top = legend([("99th percentile", LINES[0]), ("median", LINES[4])], 4)
    top += 30
    upper = LogAxis(min(known) / 1.3, max(known) * 1.3, top + _TALL, top, "time of a request", format_duration)
    body = [*keys, *shade(x, answers.warm_up_s, top, top + _TALL, named=True), *frame(x, upper)]
    for values, colour, name in ((time.p99_s, LINES[0], "99th percentile"), (time.p50_s, LINES[4], "median")):
        body.append(line(_points(time, values, x, upper), colour, name, "curve"))
    if answers.slo is not None:
        at = upper.at(answers.slo.within_s)
        body.append(element("path", d=f"M{x.start:g},{at:.1f} H{x.stop:g}", class_="asked"))
        body.append(text(x.stop - 6, at + 16, "halo plain", "promised", "end"))
    below, end = _rates(answers, x, top + _TALL + _GAP)
    said = f"By the time of arrival, in windows of {_said(time)}; {_runs(answers)}."
    return figure(canvas("Times and arrivals over the run", end, [*body, *below]), said)


def _rates(answers: Summary, x: TimeAxis, top: float) -> tuple[list[str], float]:
    time = answers.over_time
    most = max((value or 0.0 for value in time.arrivals_per_s), default=0.0) or 1.0
    y = LinearAxis(most * 1.05, top + _LOW, top, "requests a second: all, and without an answer", "{:g}".format)
    body = [*shade(x, answers.warm_up_s, top, top + _LOW), *frame(x, y)]
    end_s = answers.duration_s
    body.append(line(steps(x, y, time.times_s, end_s, time.arrivals_per_s), LINES[2], "arrivals", "curve"))
    if any(time.unanswered_per_s):
        lost = steps(x, y, time.times_s, end_s, time.unanswered_per_s)
        body.append(line(lost, LINES[3], "without an answer", "curve"))
    return body, top + _LOW + 30


def plans_figure(answers: Summary, labels: Mapping[str, PlanLabel]) -> str:
    """Bands: which share of the requests of each window got which plan."""
    time, x = answers.over_time, TimeAxis(answers.duration_s)
    if not time.plans:
        return ""
    groups = _by_label(time, labels)
    keys, top = legend([(f"{label.code}: {label.title}", label.colour) for label in groups], 4)
    top += 14
    y = LinearAxis(1.0, top + _TALL, top, "", lambda share: f"{100 * share:.0f} %")
    body = list(keys)
    below = [0.0] * len(time.times_s)
    for label, shares in groups.items():
        above = [low + share for low, share in zip(below, shares, strict=True)]
        body.append(_band(x, y, (*time.times_s, answers.duration_s), below, above, label))
        below = above
    body += frame(x, y)
    if answers.warm_up_s > 0:
        at = x.at(answers.warm_up_s)
        body.append(element("path", d=f"M{at:.1f},{y.stop:g} V{y.start:g}", class_="asked"))
        body.append(text(at + 6, y.stop + 16, "halo", "warm-up ends"))
    said = f"Plans of the requests that came in each window of {_said(time)}; {_runs(answers)}."
    return figure(canvas("Plans over the run", top + _TALL + 30, body), said)


def _by_label(time: OverTime, labels: Mapping[str, PlanLabel]) -> dict[PlanLabel, list[float]]:
    """Plans that share a label as one band; where no plan was chosen the bands are empty."""
    bands: dict[PlanLabel, list[float]] = {}
    for one in time.plans:
        sums = bands.setdefault(labels[one.plan], [0.0] * len(time.times_s))
        for place, share in enumerate(one.shares):
            sums[place] += share or 0.0
    return bands


def _band(
    x: Axis, y: Axis, edges: Sequence[float], below: Sequence[float], above: Sequence[float], label: PlanLabel
) -> str:
    there, back = list[str](), list[str]()
    for place, (low, high) in enumerate(zip(below, above, strict=True)):
        start, stop = x.at(edges[place]), x.at(edges[place + 1])
        there.append(f"{start:.1f},{y.at(high):.1f} {stop:.1f},{y.at(high):.1f}")
        back.append(f"{stop:.1f},{y.at(low):.1f} {start:.1f},{y.at(low):.1f}")
    d = "M" + " L".join([*there, *reversed(back)]) + "z"
    inside = element("title", escaped(f"{label.code}: {label.title}"))
    return element("path", inside, d=d, fill=label.colour, stroke=label.colour, stroke_width=0.4)


def queues_figure(answers: Summary) -> str:
    """A panel for each thing that was sampled; nothing where nothing was."""
    panels: dict[Measure, list[SeriesOverTime]] = {}
    for one in answers.over_time.series:
        panels.setdefault(_panel(one.measure), []).append(one)
    if not panels:
        return ""
    body, top = list[str](), 4.0
    for measure, series in panels.items():
        drawn, top = _panel_of(answers, measure, series, top)
        body += drawn
    said = f"Means of the samples in windows of {_said(answers.over_time)}; {_runs(answers)}."
    return figure(canvas("Queues and replicas over the run", top, body), said)


def _panel(measure: Measure) -> Measure:
    """What is believed of a link stands beside what it is."""
    return "uplink_bps" if measure == "uplink_estimate_bps" else measure


def _panel_of(
    answers: Summary, measure: Measure, series: Sequence[SeriesOverTime], top: float
) -> tuple[list[str], float]:
    x, time = TimeAxis(answers.duration_s), answers.over_time
    both = len({one.measure for one in series}) > 1
    names = [f"{one.of}, {_MEASURES[one.measure].partition(', ')[2]}" if both else one.of for one in series]
    entries = [(name, LINES[place % len(LINES)]) for place, name in enumerate(names)]
    keys, height = legend(entries, top)
    top += height + 30
    values = [value for one in series for value in one.values if value is not None]
    title = "uplink bandwidth" if both else _MEASURES[series[0].measure]
    y = _y_axis(measure, max(values, default=0.0), title, top)
    body = [*keys, *shade(x, answers.warm_up_s, top, top + _LOW), *frame(x, y)]
    for (name, colour), one in zip(entries, series, strict=True):
        points = steps(x, y, time.times_s, answers.duration_s, one.values)
        body.append(line(points, colour, name, "curve"))
    return body, top + _LOW + 44


def _y_axis(measure: Measure, most: float, title: str, top: float) -> LinearAxis:
    said = format_bandwidth if measure == "uplink_bps" else "{:g}".format if measure == "replicas" else format_duration
    if measure == "replicas":
        most = max(most, 4.0)  # fewer, and the ticks would be halves of one
    return LinearAxis(most * 1.05 or 1.0, top + _LOW, top, title, lambda value: said(value) if value else "0")


def _points(time: OverTime, values: Line, x: Axis, y: Axis) -> list[tuple[float, float] | None]:
    middle = time.window_s / 2
    return [
        None if not value else (x.at(start + middle), y.at(value))
        for start, value in zip(time.times_s, values, strict=True)
    ]


def _said(time: OverTime) -> str:
    return format_duration(time.window_s)


def _runs(answers: Summary) -> str:
    return "one run" if len(answers.seeds) == 1 else f"{len(answers.seeds)} runs together"
