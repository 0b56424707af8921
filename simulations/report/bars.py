"""Bars: how busy the fleet was, why requests got no answer, and where the time of the answered ones went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from isthmus.page.html import figure
from isthmus.units import format_duration
from partitioner.svg import element, escaped, shortened, text
from simulations.answers.breakdown import StageAnswer
from simulations.answers.interval import Estimate
from simulations.answers.summary import Summary
from simulations.report.drawing import WIDTH, canvas, legend

__all__ = ["STAGE_PARTS", "drops_figure", "percent", "stages_figure", "used_stages", "utilisation_figure"]

_LABEL, _ROW, _BAR, _NUMBER = 250, 34, 20, 190
_LABEL_CHARACTERS = 34
_FULL = 0.85  # above it a queue grows fast: with one worker and random arrivals the wait is six times the work

STAGE_PARTS: Mapping[str, tuple[str, str]] = {
    "edge_queue_s": ("edge queue", "edge-queue"),
    "edge_s": ("edge", "edge"),
    "uplink_s": ("uplink", "uplink"),
    "cloud_queue_s": ("cloud queue", "cloud-queue"),
    "cloud_s": ("cloud", "cloud"),
    "downlink_s": ("downlink", "downlink"),
    "finish_s": ("finished on the edge", "finish"),
}
"""What a stage is called, and the class of its colour."""


def percent(share: float) -> str:
    """ "12.3 %"; near 0 and 1 as many figures as tell it from them."""
    near = min(share, 1.0 - share)
    return f"{100 * share:.{1 if near >= 0.01 or near <= 0 else 2 if near >= 0.001 else 3}f} %"


def utilisation_figure(answers: Summary) -> str:
    """A bar a group, its interval, and a mark for the busiest one of it."""
    if not answers.utilisation:
        return ""
    rows = list[str]()
    scale = WIDTH - _LABEL - _NUMBER
    for place, one in enumerate(answers.utilisation):
        top = 6 + place * _ROW
        name = f"{one.kind} {one.group}" if one.group and one.group != one.kind else one.kind
        rows.append(text(0, top + 15, "label", shortened(f"{name} ({one.n:g})", _LABEL_CHARACTERS)))
        rows.append(element("rect", x=_LABEL, y=top, width=scale, height=_BAR, class_="track"))
        kind = "bar full" if one.share.value > _FULL else "bar"
        rows.append(element("rect", x=_LABEL, y=top, width=one.share.value * scale, height=_BAR, class_=kind))
        rows += _whisker(one.share, scale, top)
        mark = _LABEL + min(one.busiest, 1.0) * scale
        rows.append(element("path", d=f"M{mark:.1f},{top - 3} v{_BAR + 6}", class_="asked"))
        rows.append(text(WIDTH - _NUMBER + 10, top + 15, "strong", percent(one.share.value)))
        rows.append(text(WIDTH - _NUMBER + 76, top + 15, "tick", f"most {percent(one.busiest)}"))
    said = (
        "Share of the counted time in which they worked, with its interval; in brackets how many there were. Dotted: "
    )
    said += f"the busiest one. Red: above {_FULL:.0%}, where queues grow fast."
    return figure(canvas("Utilisation", 6 + len(answers.utilisation) * _ROW, rows), said)


def drops_figure(answers: Summary) -> str:
    """A bar a reason; nothing where everything was answered."""
    if not answers.drops:
        return ""
    rows = list[str]()
    scale = (WIDTH - _LABEL - _NUMBER) / max(one.share.high or one.share.value for one in answers.drops)
    for place, one in enumerate(answers.drops):
        top = 6 + place * _ROW
        name = f"{one.outcome}: {one.reason}" if one.reason else one.outcome
        rows.append(text(0, top + 15, "label", shortened(name, _LABEL_CHARACTERS)))
        width = one.share.value * scale
        rows.append(element("rect", x=_LABEL, y=top, width=width, height=_BAR, class_="bar full"))
        rows += _whisker(one.share, scale, top)
        rows.append(text(WIDTH - _NUMBER + 10, top + 15, "strong", percent(one.share.value)))
        rows.append(text(WIDTH - _NUMBER + 76, top + 15, "tick", f"{one.n:,}"))
    said = "Share of all requests that got no answer, by reason, with its interval; how many in all runs."
    return figure(canvas("Requests without an answer", 6 + len(answers.drops) * _ROW, rows), said)


def _whisker(found: Estimate, scale: float, top: float) -> Iterator[str]:
    if found.low is not None and found.high is not None and found.high > found.low:
        low, high, middle = _LABEL + found.low * scale, _LABEL + found.high * scale, top + _BAR / 2
        d = f"M{low:.1f},{middle - 4} v8 M{low:.1f},{middle} H{high:.1f} M{high:.1f},{middle - 4} v8"
        yield element("path", d=d, class_="whisker")


def stages_figure(answers: Summary) -> str:
    """Two stacked bars: a request on average, and the slowest hundredth; nothing where nothing was answered."""
    if not answers.stages:
        return ""
    used = used_stages(answers)
    keys, top = legend([STAGE_PARTS[one.stage] for one in used], 6, "part")
    bars = (("all answered", _values(used, "mean_s")), ("the slowest hundredth", _values(used, "slowest_s")))
    longest = max(sum(values) for _, values in bars) or 1.0
    rows = list(keys)
    for place, (name, values) in enumerate(bars):
        rows += _stacked(name, used, values, (WIDTH - _LABEL - 90) / longest, top + 12 + place * 40)
    said = "Mean seconds of an answered request in each stage. Links hold their queue and half of the round trip each."
    return figure(canvas("Where the time goes", top + 12 + 40 * len(bars), rows), said)


def used_stages(answers: Summary) -> list[StageAnswer]:
    """Those in which any answered request was."""
    return [one for one in answers.stages if one.mean_s.value > 0.0]


def _values(stages: Sequence[StageAnswer], field: str) -> list[float]:
    return [getattr(one, field).value for one in stages]


def _stacked(
    name: str, stages: Sequence[StageAnswer], values: Sequence[float], scale: float, top: float
) -> Iterator[str]:
    yield text(0, top + 17, "label", name)
    x = float(_LABEL)
    for one, seconds in zip(stages, values, strict=True):
        said, part = STAGE_PARTS[one.stage]
        width = seconds * scale
        if width > 0:
            inside = element("title", escaped(f"{said}: {format_duration(seconds)}"))
            yield element("rect", inside, x=x, y=top, width=width, height=24, class_=f"part {part}")
        if width > 56:
            yield text(x + width / 2, top + 16, "on-part", format_duration(seconds), "middle")
        x += width
    yield text(x + 8, top + 17, "strong", format_duration(sum(values)))
