"""The page's style sheet: light and dark, narrow and wide, and on paper."""

from __future__ import annotations

from partitioner.picture_style import PART_COLOURS

__all__ = ["STYLE_SHEET"]

_LIGHT = "--page:#fff;--ink:#26233a;--dim:#5d5a72;--rule:#d9d6e3;--soft:#f6f5f9;--mark:#b4367a;--warn:#fdf1dc"
_DARK = "--page:#191724;--ink:#e8e6f2;--dim:#b3aec9;--rule:#3b3752;--soft:#232034;--mark:#f08fb5;--warn:#3d3018"

STYLE_SHEET = (
    f":root{{color-scheme:light dark;{_LIGHT}}}@media (prefers-color-scheme:dark){{:root{{{_DARK}}}}}"
    """
body{margin:0 auto;max-width:1060px;padding:24px 20px 60px;background:var(--page);color:var(--ink);
font:16px/1.5 Helvetica,Arial,'Liberation Sans',sans-serif}
h1{font-size:28px;line-height:1.2;margin:0 0 4px}h2{font-size:22px;margin:44px 0 4px;border-top:3px solid var(--rule);
padding-top:20px}h3{font-size:18px;margin:32px 0 8px}
p{margin:6px 0 12px;max-width:74ch}.dim,figcaption,caption{color:var(--dim)}
.answer{font-size:18px}.warn{background:var(--warn);padding:10px 14px 10px 32px;border-radius:6px;margin:12px 0}
figure{margin:14px 0 8px}figcaption,caption{font-size:14px;text-align:left;max-width:90ch}caption{padding-bottom:6px}
svg{max-width:100%;height:auto;display:block}
.scroll{overflow-x:auto;margin:8px 0 20px}
table{border-collapse:collapse;font-size:14px;min-width:50%}
th,td{padding:5px 14px 5px 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--rule)}
th{font-weight:bold;border-bottom:2px solid var(--rule)}.n{text-align:right;white-space:nowrap;
font-variant-numeric:tabular-nums}td{overflow-wrap:anywhere;min-width:3.4em}td.n{overflow-wrap:normal;min-width:0}
dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 18px;font-size:15px;margin:8px 0 16px}
dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}
.code{display:inline-block;min-width:2em;text-align:center;font-weight:bold;border-left:14px solid var(--c);
padding-left:6px;white-space:nowrap;print-color-adjust:exact}
.keys{display:flex;flex-wrap:wrap;gap:4px 22px;max-width:none;font-size:14px}
.chart text{fill:var(--ink);font:13px Helvetica,Arial,'Liberation Sans',sans-serif}.chart .tick{fill:var(--dim)}
.chart .axis{fill:var(--dim)}.chart .strong{font-weight:bold}.chart .grid{stroke:var(--rule);fill:none}
.chart .asked{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:2 4;fill:none}
.chart .curve{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}.chart .shade{fill:var(--soft)}
.chart .reference{fill:none;stroke-width:1.5;stroke-dasharray:6 5;opacity:.75}
.chart .winner{fill:none;stroke-width:4;stroke-linecap:round}
.chart .halo{font-weight:bold;paint-order:stroke;stroke:var(--page);stroke-width:4px;stroke-linejoin:round}
.chart .halo.plain{font-weight:normal;fill:var(--dim)}
.chart .bar{fill:#8fb8de}.chart .bar.full{fill:#e8896b}.chart .track{fill:var(--soft);stroke:var(--rule)}
.chart .whisker{stroke:var(--ink);stroke-width:1.5;fill:none}
.chart .on-part{fill:#26233a;font-size:12px}.chart rect,.chart circle{print-color-adjust:exact}
"""
    + "".join(f".chart .part.{name}{{fill:{colour}}}" for name, colour in PART_COLOURS.items())
    + f"""
@media print{{:root{{color-scheme:light;{_LIGHT}}}body{{max-width:none;padding:0;font-size:11pt}}
figure,tr,dl{{break-inside:avoid}}h2,h3,caption{{break-after:avoid}}.scroll{{overflow:visible}}
table{{font-size:9pt}}.cut{{max-height:23cm}}}}
@media (max-width:640px){{dl{{grid-template-columns:1fr;gap:0}}dd{{margin-bottom:8px}}
figure{{overflow-x:auto}}figure svg{{max-width:none;width:820px}}td+td:not(.n){{min-width:9em}}}}
"""
)
