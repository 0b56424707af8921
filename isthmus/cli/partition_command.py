"""`isthmus partition`: the best plan, or all that can be best, for two devices and a link."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from isthmus.cli.device_pairs import best_pairs, sides_words, unlike_measures
from isthmus.cli.model_argument import Examples, ModelArgument, loaded_model, read_profile_of
from isthmus.cli.option_names import option_names
from isthmus.cli.output_file import check_output, write_output
from isthmus.cli.partition_options import (
    RAW_INPUT,
    AccuracyBudget,
    AsJson,
    Bandwidth,
    Batch,
    CloudLoad,
    CloudMemory,
    CloudProfile,
    Downlink,
    EdgeLoad,
    EdgeMemory,
    EdgeProfile,
    File,
    FrontierTable,
    Lossy,
    Objective,
    Output,
    Picture,
    PinCloud,
    PinEdge,
    Plans,
    Privacy,
    Report,
    RoundTrip,
    TimeLimit,
    WireLimit,
    check_batch,
    check_ops,
    check_shown,
    constraints_of,
    file_facts,
)
from isthmus.units import format_bandwidth, format_duration, parse_duration_s

if TYPE_CHECKING:
    from isthmus.planning import Planner
    from nodes.measure.codec_survey import SurveyRow
    from partitioner.cost_model import Costing
    from partitioner.link import Link
    from partitioner.model import Model
    from partitioner.partition import BestPlan
    from partitioner.plan import Plan, TensorCodec
    from partitioner.setting import Setting

__all__ = ["partition"]

_OPTIONS = {
    "edge_load": "--edge-load",
    "cloud_load": "--cloud-load",
    "link.bandwidth": "--bandwidth",
    "link.downlink": "--downlink",
    "link.rtt": "--rtt",
    "objective": "--objective",
    "objective ": "--objective",
    "accuracy budget": "--accuracy-budget",
}


@option_names(_OPTIONS)
def partition(
    model: ModelArgument,
    edge: EdgeProfile,
    cloud: CloudProfile,
    example: Examples = None,
    bandwidth: Bandwidth = "20mbps",
    downlink: Downlink = "",
    rtt: RoundTrip = "30ms",
    batch: Batch = 1,
    edge_load: EdgeLoad = 1.0,
    cloud_load: CloudLoad = 1.0,
    file: File = None,
    objective: Objective = "latency",
    lossy: Lossy = False,
    accuracy_budget: AccuracyBudget = None,
    privacy: Privacy = "",
    edge_memory: EdgeMemory = "",
    cloud_memory: CloudMemory = "",
    wire_limit: WireLimit = "",
    pin_edge: PinEdge = None,
    pin_cloud: PinCloud = None,
    time_limit: TimeLimit = "10s",
    frontier: FrontierTable = False,
    picture: Picture = None,
    report: Report = None,
    plans: Plans = None,
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Choose the best plan of MODEL for two devices and a link, and say what it beats."""
    from isthmus.planning import Planner
    from nodes.measure.lossless_sizes import with_lossless_sizes
    from partitioner.cost_model import Costing
    from partitioner.link import Link

    for path, option in ((picture, "--picture"), (report, "--report"), (plans, "--plans"), (output, "--output")):
        check_output(path, option)
    drawn = picture is not None or report is not None
    check_shown(frontier=frontier, plans=plans is not None, drawn=drawn, pairs=len(edge) * len(cloud))
    link = Link.of(bandwidth=bandwidth, rtt=rtt, downlink=downlink or None)
    costing = Costing(
        lossless=not lossy and accuracy_budget is None,
        private_input=privacy == RAW_INPUT,
        batch=batch,
        edge_load=edge_load,
        cloud_load=cloud_load,
        constraints=constraints_of(privacy, (edge_memory, cloud_memory, wire_limit), (pin_edge, pin_cloud)),
    )
    limit_s = parse_duration_s(time_limit, "--time-limit")
    loaded = loaded_model(model, example)
    check_batch(batch, loaded)
    if file is not None:
        costing = replace(costing, form="bytes", file=file_facts(file, loaded))
    costing = with_lossless_sizes(costing, loaded)
    check_ops(loaded.graph, {"--privacy": filter(None, [privacy]), "--pin-edge": pin_edge, "--pin-cloud": pin_cloud})
    settings = _settings(loaded, (edge, cloud), link, costing)
    planners = [Planner(loaded, setting, accuracy_budget, limit_s) for setting in settings]
    if plans is not None:
        write_output(plans, planners[0].table().to_json(), "--plans")
    shown = _frontier(planners[0], objective) if frontier else _best(planners, objective, picture, report)
    _emit(*shown, output, as_json)


def _settings(
    model: Model, profiles: tuple[Iterable[Path], Iterable[Path]], link: Link, costing: Costing
) -> Iterator[Setting]:
    """Of each edge with each cloud."""
    from partitioner.setting import Setting

    edges, clouds = ([read_profile_of(path, model) for path in side] for side in profiles)
    yield from (Setting(edge, cloud, link, costing) for edge, cloud in itertools.product(edges, clouds))


def _best(
    planners: Sequence[Planner], objective: str, picture: Path | None, report: Path | None
) -> tuple[str, Iterable[str]]:
    """As JSON, and as lines with what it beats; drawn and reported on where that was asked for."""
    first, *rest = best_pairs(planners, objective)
    planner, best = first.planner, first.best
    if picture is not None:
        _draw(planner.model, planner.given, best.plan, picture)
    if report is not None:
        _report(planner, best, objective, report)
    others = [plan for plan in planner.others() if plan.plan_id != best.plan.plan_id]
    lines = [
        f"* {_line(best.plan)}",
        *(f"  {_line(plan)}" for plan in others),
        *(f"  {_line(pair.best.plan)}; {sides_words(pair.best.setting)}" for pair in rest),
        *_left_out(planner),
        *unlike_measures([first, *rest]),
        sides_words(best.setting),
        _verdict(best),
    ]
    return best.plan.to_json(), lines


def _left_out(planner: Planner) -> Iterator[str]:
    """The codecs that could not be looked at."""
    if unrated := planner.unrated_codecs():
        yield f"codecs left out for want of a rate: {unrated}"


def _frontier(planner: Planner, objective: str) -> tuple[str, Iterable[str]]:
    """As JSON, and as lines."""
    from isthmus.cli.frontier_table import check_linear, frontier_lines, throughput_lines
    from partitioner.measured_halves import has_measured_halves
    from partitioner.partition import gap_words

    if objective == "throughput":
        wide = planner.throughput_frontier()
        gap = f"gap {gap_words(wide.gap, planner.accuracy_budget is not None)}"
        said = filter(None, (gap, planner.budget_line()))
        return wide.to_json(), [*throughput_lines(wide), *_left_out(planner), sides_words(planner.given), *said]
    check_linear(objective, planner.given)
    found = planner.frontier
    lines = [*frontier_lines(found, planner.given, objective), *_left_out(planner), sides_words(planner.given)]
    if has_measured_halves(planner.model, planner.given):
        lines.append("by sums of op times; one plan alone goes by the halves that were measured whole")
    if planner.given.costing.constraints.has_budget:
        lines.append(f"gap {gap_words(found.gap, planner.accuracy_budget is not None)}")
    if budget := planner.budget_line():
        lines.append(f"{budget}; every plan that wins somewhere, of the codecs measured")
    return found.to_json(), lines


def _draw(model: Model, setting: Setting, plan: Plan, picture: Path) -> None:
    from partitioner.picture import cut_picture
    from partitioner.plan_op_times import plan_op_seconds

    seconds = plan_op_seconds(model, setting, plan.edge_ops)
    write_output(picture, cut_picture(model.graph, plan, op_seconds=seconds), "--picture")


def _report(planner: Planner, best: BestPlan, objective: str, report: Path) -> None:
    """Under an accuracy budget with every codec at the frontier's cuts, which takes minutes: a bar on a terminal."""
    from rich.console import Console
    from rich.progress import track

    from isthmus.planning import time_is_over
    from isthmus.report import report_of, report_page

    budget, setting = planner.codec_budget, best.setting
    surveyed: tuple[SurveyRow, ...] = ()
    if budget is not None:
        setting = planner.frontier_setting
        console, quiet = Console(stderr=True), not sys.stderr.isatty()
        cuts = track(planner.cuts_to_survey(), "codecs at each cut", console=console, transient=True, disable=quiet)
        surveyed = tuple(planner.survey(cuts))
    made = report_of(
        planner.model, setting, best.plan, surveyed, budget, objective, partial(time_is_over, planner.limit_s)
    )
    write_output(report, report_page(made), "--report")


def _emit(text: str, lines: Iterable[str], output: Path | None, as_json: bool) -> None:
    write_output(output, text, "--output")
    print(text if as_json else "\n".join(lines), end="" if as_json else "\n")


def _bytes(tensor: TensorCodec) -> str:
    return f"{tensor.bytes} ± {tensor.spread_bytes} B" if tensor.spread_bytes else f"{tensor.bytes} B"


def _verdict(best: BestPlan) -> str:
    provenance, link = best.plan.provenance, best.setting.link
    up, down = format_bandwidth(link.uplink_bps), format_bandwidth(link.downlink_bps)
    over = f"over {up if up == down else f'{up} up, {down} down'}, round trip {format_duration(link.rtt_s)}"
    if "loads" in provenance:
        over += f", {provenance['loads']}"
    halves = f"; {provenance['halves']}" if "halves" in provenance else ""
    return f"accuracy: {provenance['accuracy']}; {provenance['objective']} {over}; gap {provenance['gap']}{halves}"


def _line(plan: Plan) -> str:
    crossing = ", ".join(f"{t.tensor} as {t.codec} ({_bytes(t)})" for t in plan.boundary) or "nothing crosses"
    total_ms = plan.predicted.total_s * 1e3 if plan.predicted is not None else float("nan")
    return f"{plan.kind:10} {total_ms:9.2f} ms  {len(plan.edge_ops)} ops on the edge; {crossing}"
