"""`isthmus partition`: the best plan, or all that can be best, for two devices and a link."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from isthmus.cli.model_argument import Examples, ModelArgument, loaded_model, read_profile_of
from isthmus.cli.option_names import option_names
from isthmus.cli.output_file import check_output, write_output
from isthmus.cli.partition_options import (
    RAW_INPUT,
    AccuracyBudget,
    AsJson,
    Bandwidth,
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
    WireLimit,
    check_ops,
    constraints_of,
    file_facts,
)
from isthmus.errors import InvalidInput
from isthmus.units import format_bandwidth, format_duration

if TYPE_CHECKING:
    from isthmus.planning import Planner
    from nodes.measure.codec_survey import SurveyRow
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
    from partitioner.setting import Setting

    for path, option in ((picture, "--picture"), (report, "--report"), (plans, "--plans"), (output, "--output")):
        check_output(path, option)
    if frontier and (picture is not None or report is not None):
        raise InvalidInput("--frontier", "is a table of many plans", remedy="leave out --picture and --report")
    link = Link.of(bandwidth=bandwidth, rtt=rtt, downlink=downlink or None)
    costing = Costing(
        lossless=not lossy and accuracy_budget is None,
        private_input=privacy == RAW_INPUT,
        edge_load=edge_load,
        cloud_load=cloud_load,
        constraints=constraints_of(privacy, (edge_memory, cloud_memory, wire_limit), (pin_edge, pin_cloud)),
    )
    loaded = loaded_model(model, example)
    if file is not None:
        costing = replace(costing, form="bytes", file=file_facts(file, loaded))
    costing = with_lossless_sizes(costing, loaded)
    named = {"--privacy": [privacy] if privacy else [], "--pin-edge": pin_edge, "--pin-cloud": pin_cloud}
    check_ops(loaded.graph, named)
    setting = Setting(read_profile_of(edge, loaded), read_profile_of(cloud, loaded), link, costing)
    planner = Planner(loaded, setting, accuracy_budget)
    if plans is not None:
        write_output(plans, planner.table().to_json(), "--plans")
    shown = _frontier(planner, objective) if frontier else _best(planner, objective, picture, report)
    _emit(*shown, output, as_json)


def _best(planner: Planner, objective: str, picture: Path | None, report: Path | None) -> tuple[str, Iterable[str]]:
    """As JSON, and as lines with what it beats; drawn and reported on where that was asked for."""
    best = planner.best(objective)
    if picture is not None:
        _draw(planner.model, planner.given, best.plan, picture)
    if report is not None:
        _report(planner, best, objective, report)
    others = [plan for plan in planner.others() if plan.plan_id != best.plan.plan_id]
    lines = [f"* {_line(best.plan)}", *(f"  {_line(plan)}" for plan in others), *_left_out(planner), _verdict(best)]
    return best.plan.to_json(), lines


def _left_out(planner: Planner) -> Iterator[str]:
    """The codecs that could not be looked at."""
    if unrated := planner.unrated_codecs():
        yield f"codecs left out for want of a rate: {unrated}"


def _frontier(planner: Planner, objective: str) -> tuple[str, Iterable[str]]:
    """As JSON, and as lines."""
    from isthmus.cli.frontier_table import check_linear, frontier_lines, throughput_lines
    from partitioner.partition import gap_words

    if objective == "throughput":
        wide = planner.throughput_frontier()
        gap = f"gap {gap_words(wide.gap, planner.accuracy_budget is not None)}"
        said = filter(None, (gap, planner.budget_line()))
        return wide.to_json(), [*throughput_lines(wide), *_left_out(planner), *said]
    check_linear(objective, planner.given)
    found = planner.frontier
    lines = [*frontier_lines(found, planner.given, objective), *_left_out(planner)]
    if budget := planner.budget_line():
        lines.append(f"{budget}; every plan that wins somewhere, of the codecs measured")
    return found.to_json(), lines


def _draw(model: Model, setting: Setting, plan: Plan, picture: Path) -> None:
    from partitioner.picture import cut_picture
    from partitioner.plan_op_times import plan_op_seconds

    seconds = plan_op_seconds(model, setting, plan.edge_ops)
    write_output(picture, cut_picture(model.graph, plan, op_seconds=seconds), "--picture")


def _report(planner: Planner, best: BestPlan, objective: str, report: Path) -> None:
    """Under an accuracy budget with every codec at the frontier's cuts, which takes a minute or two."""
    from isthmus.planning import SEARCH_LIMIT_S, time_is_over
    from isthmus.report import report_of, report_page

    budget, setting = planner.codec_budget, best.setting
    surveyed: tuple[SurveyRow, ...] = ()
    if budget is not None and not setting.costing.constraints.has_budget:
        setting = planner.frontier_setting
        surveyed = planner.survey()
    made = report_of(planner.model, setting, best.plan, surveyed, budget, objective, time_is_over(SEARCH_LIMIT_S))
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
