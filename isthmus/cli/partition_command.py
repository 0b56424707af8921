"""`isthmus partition`: the best plan, or all that can be best, for two devices and a link."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from isthmus.cli.device_pairs import best_pairs, doubtful_times, sides_words, unlike_measures
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
from isthmus.errors import InfeasibleCut, InvalidInput
from isthmus.units import format_bandwidth, format_duration, parse_duration_s

if TYPE_CHECKING:
    from isthmus.planning import Planner
    from nodes.measure.codec_survey import SurveyRow
    from partitioner.cost_model import Costing
    from partitioner.graph import ModelGraph
    from partitioner.link import Link
    from partitioner.model import Model
    from partitioner.partition import BestPlan
    from partitioner.plan import InputForm, Plan, TensorCodec
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
    from nodes.measure.codec_findings import CodecFindings
    from nodes.measure.lossless_sizes import with_lossless_sizes
    from partitioner.cost_model import Costing
    from partitioner.link import Link
    from partitioner.model import has_judged_items

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
    if lossy and accuracy_budget is not None:
        raise InvalidInput("--lossy", "allows any loss, --accuracy-budget only so much", remedy="give one of them")
    limit_s = parse_duration_s(time_limit, "--time-limit")
    loaded = loaded_model(model, example)
    check_batch(batch, loaded)
    if file is not None:
        costing = replace(costing, form="bytes", file=file_facts(file, loaded))
    costing = with_lossless_sizes(costing, loaded)
    check_ops(loaded.graph, {"--privacy": filter(None, [privacy]), "--pin-edge": pin_edge, "--pin-cloud": pin_cloud})
    settings = _settings(loaded, (edge, cloud), link, costing)
    findings = CodecFindings(loaded) if accuracy_budget is not None and has_judged_items(loaded) else None
    planners = [Planner(loaded, setting, accuracy_budget, limit_s, findings) for setting in settings]
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
    others = [plan for plan in planner.others(objective) if plan.plan_id != best.plan.plan_id]
    line = partial(_line, planner.model.graph, best.setting.costing.batch, objective)
    lines = [
        f"* {line(best.plan)}",
        *(f"  {line(plan)}" for plan in others),
        *(f"  {line(pair.best.plan)}; {sides_words(pair.best.setting)}" for pair in rest),
        *_remarks(planner, objective),
        *_assumed_sizes(best),
        *_above_the_limit(planner.model.graph, best),
        *doubtful_times((pair.best.setting for pair in (first, *rest)), planner.model.digest),
        *unlike_measures([first, *rest]),
        _asked(best.setting),
        _verdict(best),
    ]
    return best.plan.to_json(), lines


def _remarks(planner: Planner, objective: str) -> Iterator[str]:
    """The codecs that could not be looked at, sizes that could not be measured, what a limit on the edge's memory
    leaves out, and a radio that nobody has told of."""
    from nodes.measure.lossless_sizes import unmeasured_words

    if unrated := planner.unrated_codecs():
        yield f"codecs left out for want of a rate: {unrated}"
    if unmeasured := unmeasured_words(planner.model):
        yield unmeasured
    if memory := planner.memory_line():
        yield f"to finish alone {memory}"
    if "energy" in objective and (power := planner.given.edge.power) is not None and not power.knows_radio:
        yield f"energy: {power.provenance}; its radio counts 0 W: state it with isthmus declare EDGE.json --radio 2W"


def _assumed_sizes(best: BestPlan) -> Iterator[str]:
    """The plan's codecs whose sizes nobody measured on what they carry."""
    sizes = best.setting.costing.codecs
    measured = {(size.codec, size.tensor) for size in sizes}
    assumed = {size.codec: size.ratio for size in sizes if size.is_assumed and not size.tensor}
    sent = dict.fromkeys((one.codec, one.tensor) for one in (*best.plan.boundary, *best.plan.downlink))
    said = [
        f"{codec} {assumed[codec]:g} of {name}"
        for codec, name in sent
        if codec in assumed and (codec, name) not in measured
    ]
    if said:
        yield f"sizes assumed, not measured: {', '.join(said)}; calibration inputs tell (isthmus import --calibration)"


def _above_the_limit(graph: ModelGraph, best: BestPlan) -> Iterator[str]:
    """What --wire-limit cannot promise of codecs whose sizes hang on the input."""
    from partitioner.request_bytes import request_bytes, request_spread_bytes

    costing, sent = best.setting.costing, (*best.plan.boundary, *best.plan.downlink)
    spread = sum(request_spread_bytes(tensor, costing.batch) for tensor in sent)
    expected = request_bytes(sent, graph, costing.batch)
    if expected + spread > costing.constraints.wire_bytes:
        yield f"--wire-limit is kept on average: a request takes {expected} ± {spread} B"


def _of_both_sides(planner: Planner, objective: str) -> Iterator[str]:
    """What a table is about, and what is to be known of it."""
    yield from _remarks(planner, objective)
    yield from doubtful_times([planner.given], planner.model.digest)
    yield _asked(planner.given)


def _asked(setting: Setting) -> str:
    """What runs where, and how many items at once."""
    batch = setting.costing.batch
    return sides_words(setting) + (f", {batch} items a request" if batch > 1 else "")


def _frontier(planner: Planner, objective: str) -> tuple[str, Iterable[str]]:
    """As JSON, and as lines."""
    from isthmus.cli.frontier_table import check_linear, frontier_lines, throughput_lines
    from partitioner.accuracy_rule import TAKEN_OUT
    from partitioner.measured_halves import has_measured_halves
    from partitioner.objectives import objective_for
    from partitioner.partition import gap_words

    if objective_for(objective, planner.given).name == "throughput":
        wide = planner.throughput_frontier()
        gap = f"gap {gap_words(wide.gap, planner.accuracy_rule)}"
        said = filter(None, (gap, planner.budget_line()))
        return wide.to_json(), [*throughput_lines(wide), *_of_both_sides(planner, objective), *said]
    check_linear(objective, planner.given)
    found = planner.frontier
    lines = [*frontier_lines(found, planner.given, objective, planner.agreement), *_of_both_sides(planner, objective)]
    if has_measured_halves(planner.model, planner.given):
        lines.append("by sums of op times; one plan alone goes by the halves that were measured whole")
    if planner.given.costing.constraints.has_budget or found.gap > 0.0:
        lines.append(f"gap {gap_words(found.gap, planner.accuracy_rule)}")
    if (rule := planner.accuracy_rule) is not None:
        of = f"left, not of all measured: {TAKEN_OUT}" if rule.pruned else "measured"
        lines.append(f"{planner.budget_line()}; every plan that wins somewhere, of the codecs {of}")
    return found.to_json(), lines


def _draw(model: Model, setting: Setting, plan: Plan, picture: Path) -> None:
    from partitioner.picture import cut_picture
    from partitioner.plan_op_times import plan_op_seconds

    seconds = plan_op_seconds(model, setting, plan.edge_ops)
    drawn = cut_picture(model.graph, plan, op_seconds=seconds, batch=setting.costing.batch)
    write_output(picture, drawn, "--picture")


def _report(planner: Planner, best: BestPlan, objective: str, report: Path) -> None:
    """Under an accuracy budget with every codec at the frontier's cuts, which takes minutes: a bar on a terminal."""
    from rich.console import Console
    from rich.progress import track

    from isthmus.report import report_of, report_page

    budget, setting = planner.codec_budget, best.setting
    surveyed: tuple[SurveyRow, ...] = ()
    if budget is not None:
        with suppress(InfeasibleCut):  # no frontier in time: the chapter says so
            setting = planner.frontier_setting
            console, quiet = Console(stderr=True), not sys.stderr.isatty()
            cuts = track(planner.cuts_to_survey(), "codecs at each cut", console=console, transient=True, disable=quiet)
            surveyed = tuple(planner.survey(cuts))
    made = report_of(planner.model, setting, best.plan, surveyed, budget, objective, partial(_of_form, planner))
    write_output(report, report_page(made), "--report")


def _of_form(planner: Planner, form: InputForm) -> Planner:
    """Under the same accuracy budget, with what was found already."""
    return planner if form == planner.given.costing.form else planner.of_form(form)


def _emit(text: str, lines: Iterable[str], output: Path | None, as_json: bool) -> None:
    write_output(output, text, "--output")
    print(text if as_json else "\n".join(lines), end="" if as_json else "\n")


def _bytes(tensor: TensorCodec, graph: ModelGraph, batch: int) -> str:
    """Of all items of a request."""
    from partitioner.request_bytes import request_bytes, request_spread_bytes

    size, spread = request_bytes([tensor], graph, batch), request_spread_bytes(tensor, batch)
    return f"{size} ± {spread} B" if spread else f"{size} B"


def _verdict(best: BestPlan) -> str:
    provenance, link = best.plan.provenance, best.setting.link
    up, down = format_bandwidth(link.uplink_bps), format_bandwidth(link.downlink_bps)
    over = f"over {up if up == down else f'{up} up, {down} down'}, round trip {format_duration(link.rtt_s)}"
    if "loads" in provenance:
        over += f", {provenance['loads']}"
    halves = f"; {provenance['halves']}" if "halves" in provenance else ""
    return f"accuracy: {provenance['accuracy']}; {provenance['objective']} {over}; gap {provenance['gap']}{halves}"


def _line(graph: ModelGraph, batch: int, objective: str, plan: Plan) -> str:
    """With what it is worth by an objective that is not its time."""
    sent = [f"{t.tensor} as {t.codec} ({_bytes(t, graph, batch)})" for t in plan.boundary]
    crossing = ", ".join(sent) or "nothing crosses"
    total_ms = plan.predicted.total_s * 1e3 if plan.predicted is not None else float("nan")
    worth = "" if objective == "latency" else f"; {plan.provenance['objective']}"
    return f"{plan.kind:10} {total_ms:9.2f} ms  {len(plan.edge_ops)} ops on the edge; {crossing}{worth}"
