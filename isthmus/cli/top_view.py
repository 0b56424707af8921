"""An edge's document (docs/sight.md) as rich draws it. Pure; what comes from outside is text, never markup or
control."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from isthmus.cli.top_lines import BLOCK, plain, sparkline, stacked
from isthmus.units import format_bandwidth, format_duration
from partitioner.svg import shortened

__all__ = ["top_view"]

STAGES = (
    ("edge_queue_s", "edge queue", "yellow"),
    ("edge_s", "edge", "bright_yellow"),
    ("uplink_s", "uplink", "magenta"),
    ("cloud_queue_s", "cloud queue", "blue"),
    ("cloud_s", "cloud", "bright_cyan"),
    ("downlink_s", "downlink", "bright_blue"),
)
_LEVELS = {"alarm": "bold white on red", "warning": "bold black on yellow"}
_STANDINGS = {"ready": "green", "set aside": "bold red"}
_MOST_PLANS, _MOST_REPLICAS = 8, 8
_SILENT_S = 5.0
# Characters besides the drawings: of a line of `_now` and of one of `_plans`.
_BESIDES_SPARK, _BESIDES_BAR, _NAME = 60, 38, 30
_LONGEST_SPARK, _LONGEST_BAR = 60, 60

Sight = Mapping[str, Any]


def top_view(sight: Sight, server: str, width: int, silent_s: float = 0.0) -> RenderableType:
    """All of it, for a terminal of so many columns, 80 at least. silent_s: since the document came, said where it is
    old."""
    return Group(
        *_head(sight, server, silent_s),
        *_notices(sight),
        Text(),
        _now(sight, min(_LONGEST_SPARK, width - _BESIDES_SPARK)),
        Text(),
        *_plans(sight, min(_LONGEST_BAR, width - _BESIDES_BAR - _NAME)),
        Text(),
        *_fleet(sight),
    )


def _head(sight: Sight, server: str, silent_s: float) -> Iterator[Text]:
    edge = sight["edge"]
    state = Text(" ready ", "black on green") if edge["ready"] else Text(" drains ", "black on yellow")
    if silent_s > _SILENT_S:
        state = Text(f" no answer for {format_duration(silent_s)} ", "bold white on red")
    policies = ", ".join(f"{one['policy']} for {one['scope']}" for one in sight["policy"]["in_force"])
    if sight["policy"].get("by_operator"):  # an edge of before does not tell
        policies += f" (not as the configuration file says: {', '.join(sight['policy']['by_operator'])})"
    about = f"  {plain(edge['id'])} at {server}, up for {format_duration(edge['up_s'])}, {plain(policies)}"
    yield Text.assemble(("isthmus ", "bold"), state, about)
    if sight["emulated"]:
        said = "; ".join(map(plain, sight["emulated"]))
        yield Text(f"Emulated: {said}. Not the numbers of real hardware.", "yellow")


def _notices(sight: Sight) -> Iterator[Text]:
    for one in sight["attention"]:
        level = Text(f" {one['level'].upper()} ", _LEVELS[one["level"]])
        yield Text.assemble(level, f" {plain(one['what'])} ", (plain(one["look"]), "dim"))
    if not sight["attention"]:
        yield Text("Nothing needs attention.", "green")


def _now(sight: Sight, spark: int) -> Table:
    """A line each: what, now, how it went."""
    now, link, moments = sight["now"], sight["link"], sight["history"]["moments"][-spark:]
    latency, error = now["latency"], now["error"]
    table = Table.grid(padding=(0, 1))
    failed = now["failed_in_window"]
    mistaken = f" + {now['mistaken_in_window']} by clients" if now["mistaken_in_window"] else ""
    rates = [one["answered"] / one["span_s"] if one["span_s"] else None for one in moments]
    _add(
        table,
        "answered",
        f"{now['answered_per_s']:.1f} /s",
        rates,
        f"{failed} failed in 5 min{mistaken}",
        bad=failed > 0,
    )
    _add(
        table, "latency", format_duration(latency["p50_s"]) if latency else "-",
        [one["latency"] and one["latency"]["p50_s"] for one in moments],
        f"95 % within {format_duration(latency['p95_s'])}" if latency else "no request in 5 min",
    )  # fmt: skip
    _add(
        table, "uplink", format_bandwidth(link["uplink_bps"]) if link else "unknown",
        [one["link"] and one["link"]["uplink_bps"] for one in moments],
        f"± {link['uplink_spread']:.0%}, {format_bandwidth(link['downlink_bps'])} down" if link else "nothing crossed",
    )  # fmt: skip
    _add(
        table, "round trip", format_duration(link["rtt_s"]) if link else "unknown",
        [one["link"] and one["link"]["rtt_s"] for one in moments], "",
    )  # fmt: skip
    cloud_s = now["cloud_queue_s"]
    _add(
        table, "waiting", f"{now['waiting']} of {now['waiting_limit']}", [one["waiting"] for one in moments],
        f"edge {format_duration(now['edge_queue_s'])}, cloud {'-' if cloud_s is None else format_duration(cloud_s)}",
    )  # fmt: skip
    if now.get("before_turn"):  # an edge of before does not say it
        _add(table, "before turn", f"{now['before_turn']}", [], f"the last in {format_duration(now['turn_wait_s'])}")
    _add(
        table, "prediction", f"off by {error['median']:.1%}" if error else "-",
        [one["error"] and one["error"]["median"] for one in moments],
        f"requests take {abs(error['bias']):.1%} {'longer' if error['bias'] < 0 else 'less'}" if error else "",
    )  # fmt: skip
    return table


def _add(table: Table, what: str, value: str, values: Sequence[float | None], more: str, *, bad: bool = False) -> None:
    drawn = Text(sparkline(values), "cyan", no_wrap=True)
    said = Text(more, "bold red" if bad else "dim", no_wrap=True)
    table.add_row(Text(what, "dim", no_wrap=True), Text(value, "bold", no_wrap=True), drawn, said)


def _plans(sight: Sight, bar: int) -> Iterator[RenderableType]:
    plans = sight["plans"][:_MOST_PLANS]
    if not plans:
        yield Text("No request in the last 5 minutes.", "dim")
        return
    most_s = max(sum(one["measured"].values()) for one in plans)
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    for head, side in (("plan", "left"), ("share", "right"), ("where the time goes", "left"), ("median", "right"),
                       ("95 %", "right"), ("off by", "right")):  # fmt: skip
        table.add_column(head, justify="right" if side == "right" else "left", no_wrap=True)
    for one in plans:
        latency, error = one["latency"], one["error"]
        parts = [(one["measured"].get(name, 0.0), style) for name, _, style in STAGES]
        table.add_row(
            Text(shortened(plain(one["name"]), _NAME)),
            f"{one['share']:.0%}",
            stacked(parts, most_s, bar),
            format_duration(latency["p50_s"]) if latency else "-",
            format_duration(latency["p95_s"]) if latency else "-",
            f"{error['median']:.0%}" if error else "-",
        )
    yield table
    yield Text.assemble(*(part for _, word, style in STAGES for part in ((f"{BLOCK} ", style), (f"{word}  ", "dim"))))


def _fleet(sight: Sight) -> Iterator[RenderableType]:
    fleet = sight["fleet"]
    if not fleet["registry"]:
        yield Text("No registry is configured: this edge serves alone.", "dim")
        return
    away_s = fleet.get("away_s")  # an edge of before does not say it
    heard = "heard" if away_s is None else f"silent for {format_duration(away_s)}"
    yield Text(f"fleet registry {plain(fleet['registry'])}, {heard if fleet['heard'] else 'not heard of'}", "dim")
    table = Table.grid(padding=(0, 2))
    for one in fleet["replicas"][:_MOST_REPLICAS]:
        queue_s, age_s = one["cloud_queue_s"], one["heard_age_s"]
        table.add_row(
            Text(one["standing"], _STANDINGS.get(one["standing"], "yellow")),
            Text(plain(one["replica_id"])),
            Text(plain(one["target"]), "dim"),
            Text("" if queue_s is None else f"queue {format_duration(queue_s)}"),
            Text(f"{one['in_flight']} under way"),
            Text("" if age_s is None else f"heard {format_duration(age_s)} ago", "dim"),
        )
    if len(fleet["replicas"]) > _MOST_REPLICAS:
        table.add_row(Text(f"and {len(fleet['replicas']) - _MOST_REPLICAS} more", "dim"))
    yield table
