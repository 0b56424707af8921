"""The tournament as a picture: bytes an item against agreement, a series for each family of codecs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from benchmarks.tournament_items import Row

__all__ = ["draw"]


@dataclass(frozen=True, slots=True)
class _Style:
    """How a family is drawn; offset: of its labels, in points."""

    colour: str
    marker: str
    line: str
    label: str
    offset: tuple[int, int]


_STYLES: Mapping[str, _Style] = {
    "transform": _Style("#0b6e4f", "o", "-", "transform codec at the cut, by factor on its step", (-4, 5)),
    "linear": _Style("#c1666b", "s", "-", "int8 to int3 at the cut", (6, -10)),
    "tiled": _Style("#8d6a9f", "v", "", "channels tiled into a picture", (6, -24)),
    "picture": _Style("#3a6ea5", "^", "", "the input as a picture", (5, -8)),
}
_SHORTER = ("transform, step ", "tiled ", " lossless", ", smallest", ", quick")


def draw(rows: Sequence[Row], target: float, title: str, path: Path) -> None:
    """Write the picture to `path` (SVG or PNG by its ending); rows of one cut and of the input."""
    drawing = Drawing(figsize=(9, 5.4), layout="constrained")
    axes = drawing.add_subplot()
    for family, style in _STYLES.items():
        own = sorted((row for row in rows if row.family == family), key=lambda row: row.bytes.value)
        if own:
            _series(axes, own, style)
    axes.axhline(target, color="grey", linewidth=0.8, linestyle="--")
    axes.set_xscale("log")
    ticks = [2, 4, 8, 16, 32, 64, 128]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_ylim(top=1.12)
    axes.set_xlabel("kB an item on the wire")
    axes.set_ylabel("top-1 agreement with the unsplit model (95 % interval by photo)")
    axes.set_title(title, fontsize=9)
    axes.legend(fontsize=8, loc="lower right")
    drawing.savefig(path)


def _series(axes: Axes, rows: Sequence[Row], style: _Style) -> None:
    found = [row.quality.agreement for row in rows]
    axes.errorbar(
        [row.bytes.value / 1e3 for row in rows],
        [one.value for one in found],
        [[one.value - one.low for one in found], [one.high - one.value for one in found]],
        color=style.colour,
        marker=style.marker,
        linestyle=style.line,
        label=style.label,
        capsize=2,
        linewidth=1,
    )
    for row in rows:
        # Lossless pictures lie side by side at 1: their labels stand up.
        perfect = row.family == "picture" and row.quality.agreement.value == 1
        axes.annotate(
            _short(row.name),
            (row.bytes.value / 1e3, row.quality.agreement.value),
            xytext=(-3, 6) if perfect else style.offset,
            textcoords="offset points",
            rotation=60 if perfect else 0,
            ha="right" if row.family == "transform" else "left",
            fontsize=7,
            color=style.colour,
        )


def _short(name: str) -> str:
    for part in _SHORTER:
        name = name.replace(part, "")
    return name
