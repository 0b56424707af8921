"""The colours and type of a cut's picture, light and dark. All selectors begin at the picture: a page may hold it."""

from __future__ import annotations

__all__ = ["DARK", "LIGHT", "PART_COLOURS", "STYLE", "markers"]

PART_COLOURS = {"edge": "#f6c177", "uplink": "#eb9db4", "cloud": "#9ccfd8", "downlink": "#c4b2ea"}
"""The colours of the parts of a request's time, under dark text."""

LIGHT = {
    "page": "#ffffff", "ink": "#26233a", "dim": "#5d5a72", "line": "#8a8699", "cut": "#b4367a",
    "edge": "#fbe3bf", "cloud": "#cfe8ec", "edge-lane": "#fdf6ea", "cloud-lane": "#eff7f9", "link-lane": "#faf4f7",
    "end": "#ffffff", "pill": "#fbe4ee",
}  # fmt: skip
DARK = {
    "page": "#191724", "ink": "#e8e6f2", "dim": "#b3aec9", "line": "#8b86a3", "cut": "#f08fb5",
    "edge": "#5e4520", "cloud": "#1f5560", "edge-lane": "#262019", "cloud-lane": "#16242b", "link-lane": "#261d29",
    "end": "#2a2739", "pill": "#4a2138",
}  # fmt: skip


def _themed(c: dict[str, str]) -> str:
    return (
        f".cut .page{{fill:{c['page']}}}.cut text{{fill:{c['ink']}}}.cut .note,.cut .small{{fill:{c['dim']}}}"
        f".cut .box{{stroke:{c['line']}}}.cut .box.edge{{fill:{c['edge']}}}.cut .box.cloud{{fill:{c['cloud']}}}"
        f".cut .box.end{{fill:{c['end']}}}.cut .pill{{fill:{c['pill']};stroke:{c['cut']}}}"
        f".cut .lane.edge{{fill:{c['edge-lane']}}}.cut .lane.cloud{{fill:{c['cloud-lane']}}}"
        f".cut .lane.link{{fill:{c['link-lane']}}}.cut .wire{{stroke:{c['line']}}}"
        f".cut .crossing,.cut .cut-line{{stroke:{c['cut']}}}.cut .share{{fill:{c['cut']}}}"
        f".cut .arrow{{fill:{c['line']}}}.cut .cut-arrow{{fill:{c['cut']}}}"
    )


_SHAPES = (
    ".cut text{font-family:Helvetica,Arial,'Liberation Sans',sans-serif;font-size:13px}"
    ".cut .title{font-size:20px;font-weight:bold}.cut .sub{font-size:14px}.cut .name{font-weight:bold}"
    ".cut .lane-name{font-size:14px;font-weight:bold}.cut .small{font-size:12px}.cut .note{font-size:11px}"
    ".cut .wire,.cut .crossing{fill:none;stroke-width:1.5}.cut .crossing{stroke-width:2.5}"
    ".cut .cut-line{fill:none;stroke-width:2;stroke-dasharray:7 6}.cut .pill{stroke-width:1.5}"
    ".cut .pill.down{stroke-dasharray:4 3}.cut .on-part{font-size:11px;font-weight:bold}"
    + "".join(f".cut .part.{name}{{fill:{colour}}}" for name, colour in PART_COLOURS.items())
)

STYLE = (
    _SHAPES
    + _themed(LIGHT)
    + "@media (prefers-color-scheme:dark){"
    + _themed(DARK)
    + "}"
    + (".cut .on-part{fill:#26233a}")
)


def markers(owner: str) -> str:
    """The arrow heads of one picture. owner: what tells its ids from those of another picture on the same page."""
    heads = "".join(
        f'<marker id="isthmus-{kind}-{owner}" viewBox="0 0 8 8" refX="8" refY="4" orient="auto" '
        f'markerUnits="userSpaceOnUse" markerWidth="10" markerHeight="10">'
        f'<path d="M0,0 L8,4 L0,8 z" class="{kind}"/></marker>'
        for kind in ("arrow", "cut-arrow")
    )
    return f"<defs>{heads}</defs>"
