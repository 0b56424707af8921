"""`isthmus partition`: the best plan, or all that can be best, for two devices and a link."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isthmus.cli.model_argument import ModelArgument, read_profile_of
from isthmus.cli.output_file import check_output, write_output
from isthmus.errors import InvalidInput
from isthmus.units import parse_size_bytes

if TYPE_CHECKING:
    from isthmus.planning import Planner
    from nodes.measure.codec_survey import SurveyRow
    from partitioner.constraints import Constraints
    from partitioner.model import Model
    from partitioner.partition import BestPlan
    from partitioner.plan import Plan, TensorCodec
    from partitioner.setting import Setting

__all__ = ["partition"]


def partition(
    model: ModelArgument,
    edge: Annotated[Path, typer.Option(help="The edge's profile, from `isthmus profile`.")],
    cloud: Annotated[Path, typer.Option(help="The cloud's profile.")],
    bandwidth: Annotated[str, typer.Option(help="Both ways, like 20mbps.")] = "20mbps",
    rtt: Annotated[str, typer.Option(help="There and back, like 30ms.")] = "30ms",
    objective: Annotated[
        str, typer.Option(help="latency, throughput, energy, cost, or a sum like latency+0.2*energy.")
    ] = "latency",
    privacy: Annotated[
        str, typer.Option(help="raw-input: inputs never leave the edge; or an op: nor does anything before it.")
    ] = "",
    edge_memory: Annotated[
        str, typer.Option(help="Most that parameters and activations take on the edge, like 64MB.")
    ] = "",
    lossy: Annotated[bool, typer.Option("--lossy", help="Allow codecs that lose accuracy.")] = False,
    accuracy_budget: Annotated[
        float | None, typer.Option(help="Allow lossy codecs whose measured loss is no larger, like 0.02.")
    ] = None,
    frontier: Annotated[bool, typer.Option("--frontier", help="Every plan that wins somewhere, as a table.")] = False,
    picture: Annotated[Path | None, typer.Option(help="Write an SVG of the graph with the cut.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a page (HTML): the plan, and where it changes.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the plan or frontier as JSON.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan or frontier as JSON.")] = False,
) -> None:
    """Choose the best plan of MODEL for two devices and a link, and say what it beats."""
    from isthmus.api import load_model
    from isthmus.cli.frontier_table import frontier_lines
    from isthmus.planning import Planner
    from partitioner.cost_model import Costing
    from partitioner.link import Link
    from partitioner.setting import Setting

    for path, option in ((picture, "--picture"), (report, "--report"), (output, "--output")):
        check_output(path, option)
    if frontier and (picture is not None or report is not None):
        raise InvalidInput("--frontier", "is a table of many plans", remedy="leave out --picture and --report")
    link = Link.of(bandwidth=bandwidth, rtt=rtt)
    costing = Costing(
        lossless=not lossy and accuracy_budget is None,
        private_input=privacy == "raw-input",
        constraints=_constraints(privacy, edge_memory),
    )
    loaded = load_model(model)
    setting = Setting(read_profile_of(edge, loaded), read_profile_of(cloud, loaded), link, costing)
    planner = Planner(loaded, setting, accuracy_budget)
    if frontier:
        found = planner.frontier()
        _emit(found.to_json(), frontier_lines(found, link.rtt_s), output, as_json)
        return
    best = planner.best(objective)
    if picture is not None:
        _draw(loaded, setting, best.plan, picture)
    if report is not None:
        _report(planner, best.plan, report)
    shown = [(best.plan, "*"), *((other, " ") for other in planner.others())]
    lines = [*(f"{mark} {_line(plan)}" for plan, mark in shown), _verdict(best)]
    _emit(best.plan.to_json(), lines, output, as_json)


def _draw(model: Model, setting: Setting, plan: Plan, picture: Path) -> None:
    from partitioner.picture import cut_picture
    from partitioner.plan_op_times import plan_op_seconds

    seconds = plan_op_seconds(model, setting, plan.edge_ops)
    write_output(picture, cut_picture(model.graph, plan, op_seconds=seconds), "--picture")


def _report(planner: Planner, plan: Plan, report: Path) -> None:
    """Under an accuracy budget with every codec at the frontier's cuts, which takes a minute or two."""
    from isthmus.report import report_of, report_page

    budget, setting = planner.accuracy_budget, planner.given
    surveyed: tuple[SurveyRow, ...] = ()
    if budget is not None and not setting.costing.constraints.has_budget:
        setting = planner.frontier_setting
        surveyed = planner.survey()
    page = report_page(report_of(planner.model, setting, plan, surveyed, budget))
    write_output(report, page, "--report")


def _emit(text: str, lines: Iterable[str], output: Path | None, as_json: bool) -> None:
    write_output(output, text, "--output")
    print(text if as_json else "\n".join(lines), end="" if as_json else "\n")


def _constraints(privacy: str, edge_memory: str) -> Constraints:
    from partitioner.constraints import Constraints

    memory_bytes = parse_size_bytes(edge_memory, "--edge-memory") if edge_memory else math.inf
    up_to = "" if privacy == "raw-input" else privacy
    return Constraints(private_up_to=up_to, edge_memory_bytes=memory_bytes)


def _bytes(tensor: TensorCodec) -> str:
    return f"{tensor.bytes} ± {tensor.spread_bytes} B" if tensor.spread_bytes else f"{tensor.bytes} B"


def _verdict(best: BestPlan) -> str:
    provenance = best.plan.provenance
    return f"accuracy: {provenance['accuracy']}; {provenance['objective']}; gap {provenance['gap']}"


def _line(plan: Plan) -> str:
    crossing = ", ".join(f"{t.tensor} as {t.codec} ({_bytes(t)})" for t in plan.boundary) or "nothing crosses"
    total_ms = plan.predicted.total_s * 1e3 if plan.predicted is not None else float("nan")
    return f"{plan.kind:10} {total_ms:9.2f} ms  {len(plan.edge_ops)} ops on the edge; {crossing}"
