"""The tournament as a picture: bytes an item against agreement, a series for each family of codecs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure as Drawing

from benchmarks.tournament_items import Row

__all__ = ["draw"]

_STYLES = {
    "transform": ("#0b6e4f", "o", "transform codec at the cut"),
    "linear": ("#c1666b", "s", "int8 to int3 at the cut"),
    "tiled": ("#8d6a9f", "v", "channels tiled into a picture"),
    "picture": ("#3a6ea5", "^", "the input as a picture"),
}


def draw(rows: Sequence[Row], target: float, title: str, path: Path) -> None:
    """Write the picture to `path` (SVG or PNG by its ending)."""
    drawing = Drawing(figsize=(8.5, 5.2), layout="constrained")
    axes = drawing.add_subplot()
    for family, (colour, marker, label) in _STYLES.items():
        own = sorted((row for row in rows if row.family == family), key=lambda row: row.bytes.value)
        if not own:
            continue
        sizes, agreements = [r.bytes.value / 1e3 for r in own], [r.quality.agreement.value for r in own]
        spans = [
            [r.quality.agreement.value - r.quality.agreement.low for r in own],
            [r.quality.agreement.high - r.quality.agreement.value for r in own],
        ]
        line = "-" if family in ("transform", "linear") else ""
        axes.errorbar(
            sizes, agreements, spans, color=colour, marker=marker, linestyle=line, label=label, capsize=2, linewidth=1
        )
        for row in own:
            axes.annotate(
                row.name,
                (row.bytes.value / 1e3, row.quality.agreement.value),
                xytext=(4, -9),
                textcoords="offset points",
                fontsize=6,
                color=colour,
            )
    axes.axhline(target, color="grey", linewidth=0.8, linestyle="--")
    axes.set_xscale("log")
    ticks = [2, 4, 8, 16, 32, 64, 128]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("kB an item on the wire")
    axes.set_ylabel("top-1 agreement with the unsplit model (95 % interval by photo)")
    axes.set_title(title, fontsize=9)
    axes.legend(fontsize=7, loc="lower right")
    drawing.savefig(path)
