"""The Grafana dashboards of edges and of cloud replicas: `python deploy/grafana/dashboards.py` writes the JSON beside
this file, which Grafana imports or provisions. Metrics: docs/metrics.md."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
_COLUMNS, _HEIGHT = 24, 8
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WINDOW = "[$__rate_interval]"
_FAILED = 'outcome!~"ok|CANCELLED|INVALID_ARGUMENT|NOT_FOUND"'  # as in the alert rules


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression and how its lines are called, in Grafana's braces."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph. unit: Grafana's name of it. said: what to read from it, for whoever is on call. stacked: areas on top
    of each other. width: of 24 columns."""

    title: str
    said: str
    unit: str
    queries: tuple[Query, ...]
    stacked: bool = False
    width: int = 8


@dataclass(frozen=True, slots=True)
class Dashboard:
    """job: the name in Prometheus' scrape configuration that the instances are chosen from."""

    title: str
    job: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]


def _rate(metric: str, by: str, where: str = "") -> str:
    chosen = f'instance=~"$instance"{where and ","}{where}'
    return f"sum by ({by}) (rate({metric}{{{chosen}}}{_WINDOW}))"


def _mean(metric: str, by: str) -> str:
    return f"{_rate(f'{metric}_sum', by)} / {_rate(f'{metric}_count', by)}"


def _quantile(share: float, metric: str, by: str = "") -> str:
    return f"histogram_quantile({share:g}, {_rate(f'{metric}_bucket', f'le, {by}' if by else 'le')})"


def _gauge(metric: str) -> str:
    return f'{metric}{{instance=~"$instance"}}'


EDGE = Dashboard(
    "Isthmus: edges",
    "isthmus-edge",
    (
        (
            "Requests",
            (
                Panel(
                    "Requests by outcome",
                    "ok, or the gRPC status that clients got.",
                    "reqps",
                    (Query(_rate("isthmus_requests_total", "outcome"), "{{outcome}}"),),
                    stacked=True,
                ),
                Panel(
                    "Latency of answered requests",
                    "From the request's message to its answer's, by model.",
                    "s",
                    (
                        Query(_quantile(0.5, "isthmus_request_seconds", "model"), "{{model}} p50"),
                        Query(_quantile(0.99, "isthmus_request_seconds", "model"), "{{model}} p99"),
                    ),
                ),
                Panel(
                    "Refused",
                    "A client was told which limit it met: docs/limits.md.",
                    "reqps",
                    (Query(_rate("isthmus_refusals_total", "reason"), "{{reason}}"),),
                    stacked=True,
                ),
            ),
        ),
        (
            "Where requests go, and where their time goes",
            (
                Panel(
                    "Plans chosen",
                    "Which kind of plan won, and which policy decided.",
                    "reqps",
                    (Query(_rate("isthmus_decisions_total", "plan_kind, policy"), "{{plan_kind}}, {{policy}}"),),
                    stacked=True,
                    width=6,
                ),
                Panel(
                    "Mean time by stage",
                    "Stages are disjoint: together they are the time of a request.",
                    "s",
                    (Query(_mean("isthmus_request_stage_seconds", "stage"), "{{stage}}"),),
                    stacked=True,
                    width=6,
                ),
                Panel(
                    "Failed by policy",
                    "Does the canary fail more? none: it was nobody's turn, as of what was refused unread.",
                    "reqps",
                    (Query(_rate("isthmus_requests_total", "policy", _FAILED), "{{policy}}"),),
                    width=6,
                ),
                Panel(
                    "p99 by policy",
                    "Does the canary do better?",
                    "s",
                    (Query(_quantile(0.99, "isthmus_request_seconds", "policy"), "{{policy}}"),),
                    width=6,
                ),
            ),
        ),
        (
            "Are the choices good ones?",
            (
                Panel(
                    "Prediction error",
                    "Predicted less measured over measured, without sign. Above 0.3 for long: profile the device anew.",
                    "percentunit",
                    (
                        Query(_quantile(0.5, "isthmus_prediction_error_ratio", "plan_kind"), "{{plan_kind}} median"),
                        Query(_quantile(0.9, "isthmus_prediction_error_ratio", "plan_kind"), "{{plan_kind}} p90"),
                    ),
                ),
                Panel(
                    "Bandwidth, as believed",
                    "Learned from what crosses.",
                    "bps",
                    (
                        Query(_gauge("isthmus_link_uplink_bits_per_second"), "{{instance}} up"),
                        Query(_gauge("isthmus_link_downlink_bits_per_second"), "{{instance}} down"),
                    ),
                ),
                Panel(
                    "Round trip, as believed",
                    "To the cloud and back.",
                    "s",
                    (Query(_gauge("isthmus_link_rtt_seconds"), "{{instance}}"),),
                ),
            ),
        ),
        (
            "The cloud, seen from here",
            (
                Panel(
                    "Replicas",
                    "Connected ones have plans prepared; usable ones take requests now.",
                    "none",
                    (
                        Query(_gauge("isthmus_replicas_connected"), "{{instance}} connected"),
                        Query(_gauge("isthmus_replicas_usable"), "{{instance}} usable"),
                    ),
                    width=6,
                ),
                Panel(
                    "Upload windows",
                    "Bytes under way to each replica, and how many may be: a stream at its window waits for the link.",
                    "bytes",
                    (
                        Query(_gauge("isthmus_upload_under_way_bytes"), "{{instance}} to {{replica}}"),
                        Query(_gauge("isthmus_upload_window_bytes"), "{{instance}} to {{replica}}, window"),
                    ),
                    width=6,
                ),
                Panel(
                    "What the cloud did not answer",
                    "Sent again, finished here, hedged, or answered too late. None of these failed.",
                    "reqps",
                    (
                        Query(_rate("isthmus_requests_resent_total", "instance"), "{{instance}} sent again"),
                        Query(
                            _rate("isthmus_requests_resumed_on_edge_total", "instance"), "{{instance}} finished here"
                        ),
                        Query(_rate("isthmus_requests_hedged_total", "instance"), "{{instance}} hedged"),
                        Query(_rate("isthmus_late_answers_total", "instance"), "{{instance}} late"),
                    ),
                    width=6,
                ),
                Panel(
                    "Work dropped unexecuted",
                    "Expired or cancelled before it began.",
                    "ops",
                    (
                        Query(
                            _rate("isthmus_executions_total", "stage, result", 'result!="executed"'),
                            "{{stage}}, {{result}}",
                        ),
                    ),
                    width=6,
                ),
            ),
        ),
        (
            "Load",
            (
                Panel(
                    "Wait for this device",
                    "What a request is predicted to find: for its turn, and from then on for the compute.",
                    "s",
                    (
                        Query(_gauge("isthmus_turn_wait_seconds"), "{{instance}} turn"),
                        Query(_gauge("isthmus_edge_queue_seconds"), "{{instance}} compute"),
                    ),
                    width=6,
                ),
                Panel(
                    "How full",
                    "At 1 requests are refused: limits.queue, edge.kept_memory.",
                    "percentunit",
                    (
                        Query(
                            f"{_gauge('isthmus_requests_waiting')} / {_gauge('isthmus_requests_waiting_limit')}",
                            "{{instance}} queue",
                        ),
                        Query(
                            f"{_gauge('isthmus_kept_bytes')} / {_gauge('isthmus_kept_limit_bytes')}",
                            "{{instance}} kept memory",
                        ),
                    ),
                    width=6,
                ),
                Panel(
                    "Prefix worker busy",
                    "Near 1 it is the bottleneck.",
                    "percentunit",
                    (Query(_rate("isthmus_prefix_busy_seconds_total", "instance"), "{{instance}}"),),
                    width=6,
                ),
                Panel(
                    "Memory of the process",
                    "Resident. Flat under an even load.",
                    "bytes",
                    (Query(_gauge("process_resident_memory_bytes"), "{{instance}}"),),
                    width=6,
                ),
            ),
        ),
    ),
)

CLOUD = Dashboard(
    "Isthmus: cloud replicas",
    "isthmus-cloud",
    (
        (
            "Load",
            (
                Panel(
                    "Queue",
                    "Seconds of work before a new request.",
                    "s",
                    (Query(_gauge("isthmus_cloud_queue_seconds"), "{{instance}}"),),
                    width=6,
                ),
                Panel(
                    "Suffix worker busy",
                    "Near 1 on every replica: more of them are needed.",
                    "percentunit",
                    (Query(_rate("isthmus_suffix_busy_seconds_total", "instance"), "{{instance}}"),),
                    width=6,
                ),
                Panel(
                    "Replicas, and how many the work asks for",
                    "Work that comes over what a replica bears, 0.8 of its time; autoscaling adds what waits.",
                    "none",
                    (
                        Query('count(isthmus_streams{job="isthmus-cloud"})', "running"),
                        Query(
                            f'sum(rate(isthmus_cloud_offered_seconds_total{{job="isthmus-cloud"}}{_WINDOW})) / 0.8',
                            "asked for",
                        ),
                        Query(f'sum(avg_over_time(isthmus_replicas_wanted{{job="isthmus-cloud"}}{_WINDOW}))', "wanted"),
                        Query('max(isthmus_replicas_limit{job="isthmus-cloud"})', "at most"),
                    ),
                    width=6,
                ),
                Panel(
                    "Requests waiting",
                    "Accepted and not answered.",
                    "none",
                    (Query(_gauge("isthmus_requests_waiting"), "{{instance}}"),),
                    width=6,
                ),
            ),
        ),
        (
            "Work",
            (
                Panel(
                    "Mean time by stage",
                    "Of answered requests; stages are disjoint.",
                    "s",
                    (Query(_mean("isthmus_replica_stage_seconds", "stage"), "{{stage}}"),),
                    stacked=True,
                ),
                Panel(
                    "Requests in a batch",
                    "Above 1 only where the measured times say that it pays.",
                    "none",
                    (Query(_mean("isthmus_suffix_batch_requests", "instance"), "{{instance}}"),),
                ),
                Panel(
                    "Work by what became of it",
                    "Expired and cancelled work is dropped unexecuted.",
                    "ops",
                    (Query(_rate("isthmus_executions_total", "stage, result"), "{{stage}}, {{result}}"),),
                    stacked=True,
                    width=4,
                ),
                Panel(
                    "Refused",
                    "Its edge finishes such a request or goes elsewhere: docs/limits.md.",
                    "reqps",
                    (Query(_rate("isthmus_refusals_total", "reason"), "{{reason}}"),),
                    stacked=True,
                    width=4,
                ),
            ),
        ),
        (
            "Edges and process",
            (
                Panel(
                    "Streams of edges",
                    "One each.",
                    "none",
                    (Query(_gauge("isthmus_streams"), "{{instance}}"),),
                ),
                Panel(
                    "Arriving and held",
                    "What is here in part; all that is announced, and answers that have not left: limits.memory.",
                    "bytes",
                    (
                        Query(_gauge("isthmus_arriving_bytes"), "{{instance}} arriving"),
                        Query(_gauge("isthmus_held_bytes"), "{{instance}} held"),
                    ),
                ),
                Panel(
                    "Memory of the process",
                    "Resident. Flat under an even load.",
                    "bytes",
                    (Query(_gauge("process_resident_memory_bytes"), "{{instance}}"),),
                ),
            ),
        ),
    ),
)

DASHBOARDS = {"isthmus-edges.json": EDGE, "isthmus-replicas.json": CLOUD}


def to_json(dashboard: Dashboard) -> str:
    """As Grafana 10 and later read it."""
    made = {
        "uid": dashboard.job,
        "title": dashboard.title,
        "tags": ["isthmus"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_datasource(), _instances(dashboard.job)]},
        "panels": list(_laid_out(dashboard.rows)),
    }
    return json.dumps(made, indent=1) + "\n"


def _datasource() -> dict[str, Any]:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _instances(job: str) -> dict[str, Any]:
    query = f'label_values(up{{job="{job}"}}, instance)'
    return {
        "name": "instance",
        "label": "Node",
        "type": "query",
        "datasource": _DATASOURCE,
        "query": {"query": query, "refId": "instances"},
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }


def _laid_out(rows: Sequence[tuple[str, Sequence[Panel]]]) -> Iterator[dict[str, Any]]:
    number, top = 0, 0
    for title, panels in rows:
        number += 1
        place = {"h": 1, "w": _COLUMNS, "x": 0, "y": top}
        yield {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}
        top, left = top + 1, 0
        for panel in panels:
            number += 1
            yield _graph(panel, number, {"h": _HEIGHT, "w": panel.width, "x": left, "y": top})
            left += panel.width
        top += _HEIGHT


def _graph(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    drawn = {"fillOpacity": 25, "stacking": {"mode": "normal"}} if panel.stacked else {"fillOpacity": 0}
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.said,
        "datasource": _DATASOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, "custom": drawn}, "overrides": []},
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {"refId": chr(ord("A") + at), "datasource": _DATASOURCE, "expr": query.expr, "legendFormat": query.legend}
            for at, query in enumerate(panel.queries)
        ],
    }


def main() -> None:
    """Write them all."""
    for name, dashboard in DASHBOARDS.items():
        (FOLDER / name).write_text(to_json(dashboard))


if __name__ == "__main__":
    main()
