"""Commands on models and devices: import, profile, partition."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isthmus.cli.output_file import check_output, write_output
from isthmus.errors import InvalidInput, InvalidProfile

if TYPE_CHECKING:
    from partitioner.model import Model
    from partitioner.plan import Plan
    from partitioner.profiles import DeviceProfile
    from partitioner.setting import Setting

__all__ = ["import_model", "partition", "profile"]

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="An artifact folder, a model file, or module:callable.")
]


def import_model(
    model: ModelArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write the artifact to.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make an artifact (graph, weights and spec: data only) of a model."""
    from partitioner.artifact import save_artifact
    from partitioner.model_source import resolve_model

    made = resolve_model(model)
    save_artifact(made, output)
    facts = {"model": made.name, "digest": made.digest, "ops": len(made.graph.ops), "folder": str(output)}
    text = f"{made.name}: {len(made.graph.ops)} ops, digest {made.digest[:12]}, written to {output}"
    print(json.dumps(facts) if as_json else text)


def profile(
    model: Annotated[str | None, typer.Argument(metavar="[MODEL]", help="Measure this model's ops too.")] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write, or to merge into.")] = Path(
        "device.json"
    ),
    budget: Annotated[str, typer.Option(help="Time to spend on the device, like 10s.")] = "5s",
    threads: Annotated[int, typer.Option(min=1, help="Threads of one op.")] = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print the profile as JSON.")] = False,
) -> None:
    """Measure this device; with MODEL, merge the times of its ops into the file."""
    from isthmus import api
    from isthmus.units import parse_duration_s

    budget_s = parse_duration_s(budget, "--budget")
    check_output(output, "--output")
    loaded = None if model is None else api.load_model(model)
    if model is not None and output.exists():
        measured = _read_profile(output)
    else:
        measured = api.measure_device(budget_s, device, threads)
    if loaded is not None:
        measured = api.measure_model(loaded, measured)
    write_output(output, measured.to_json(), "--output")
    if as_json:
        print(measured.to_json())
        return
    noisy = ", noisy: measure again on a quiet machine" if measured.provenance.noisy else ""
    peak = measured.flops_per_s.get("float32", 0.0) / 1e9
    print(f"{output}: {measured.name}, {peak:.1f} GFLOP/s float32, {measured.memory_bytes_per_s / 1e9:.1f} GB/s{noisy}")
    _print_tables(measured, loaded)


def _print_tables(measured: DeviceProfile, model: Model | None) -> None:
    from rich.console import Console

    from isthmus.cli.profile_tables import device_tables, left_out, model_tables

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 120  # a file has no width: no name is cut
    for part in (*(model_tables(measured, model) if model else ()), *device_tables(measured)):
        console.print()
        console.print(part)
    console.print("\nnot measured:")
    for line in left_out(measured, model):
        console.print(f"  {line}")


def partition(
    model: ModelArgument,
    edge: Annotated[Path, typer.Option(help="The edge's profile, from `isthmus profile`.")],
    cloud: Annotated[Path, typer.Option(help="The cloud's profile.")],
    bandwidth: Annotated[str, typer.Option(help="Both ways, like 20mbps.")] = "20mbps",
    rtt: Annotated[str, typer.Option(help="There and back, like 30ms.")] = "30ms",
    objective: Annotated[str, typer.Option(help="latency.")] = "latency",
    privacy: Annotated[str, typer.Option(help="raw-input: inputs never leave the edge.")] = "",
    lossy: Annotated[bool, typer.Option("--lossy", help="Allow codecs that lose accuracy.")] = False,
    picture: Annotated[Path | None, typer.Option(help="Write an SVG of the graph with the cut.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a page (HTML): the plan, and where it changes.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the plan as JSON.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Choose the best plan of MODEL for two devices and a link, and say what it beats."""
    from isthmus.api import load_model
    from partitioner.cost_model import Costing
    from partitioner.link import Link
    from partitioner.partition import Setting, partition_graph, plans_to_compare
    from partitioner.picture import cut_picture
    from partitioner.plan_op_times import plan_op_seconds

    for path, option in ((picture, "--picture"), (report, "--report"), (output, "--output")):
        check_output(path, option)
    if privacy not in ("", "raw-input"):
        raise InvalidInput("--privacy", "is not known", value=privacy, remedy="use raw-input")
    link = Link.of(bandwidth=bandwidth, rtt=rtt)
    costing = Costing(lossless=not lossy, private_input=privacy == "raw-input")
    setting = Setting(_read_profile(edge), _read_profile(cloud), link, costing)
    loaded = load_model(model)
    for path, profile in ((edge, setting.edge), (cloud, setting.cloud)):
        _check_model(path, profile, loaded)
    plan = partition_graph(loaded, setting, objective)
    write_output(output, plan.to_json(), "--output")
    if picture is not None:
        seconds = plan_op_seconds(loaded, setting, plan.edge_ops)
        write_output(picture, cut_picture(loaded.graph, plan, op_seconds=seconds), "--picture")
    if report is not None:
        write_output(report, _page(loaded, setting, plan), "--report")
    if as_json:
        print(plan.to_json(), end="")
        return
    for shown, mark in ((plan, "*"), *((other, " ") for other in plans_to_compare(loaded, setting))):
        print(f"{mark} {_line(shown)}")


def _read_profile(path: Path) -> DeviceProfile:
    from partitioner.profiles import DeviceProfile

    try:
        return DeviceProfile.from_json(path.read_text())
    except OSError as error:
        raise InvalidProfile(str(path), f"cannot be read: {error.strerror}", remedy="run `isthmus profile`") from error


def _check_model(path: Path, profile: DeviceProfile, model: Model) -> None:
    """A profile without op times means the roofline; one with those of other models is a file mixed up."""
    if profile.op_times and not profile.has_op_times(model.digest):
        remedy = f"run `isthmus profile MODEL -o {path}` with this model"
        raise InvalidProfile(str(path), f"has op times of other models only, none of {model.name}", remedy=remedy)


def _page(model: Model, setting: Setting, plan: Plan) -> str:
    from isthmus.report import report_of, report_page

    return report_page(report_of(model, setting, plan))


def _line(plan: Plan) -> str:
    crossing = ", ".join(f"{t.tensor} as {t.codec} ({t.bytes} B)" for t in plan.boundary) or "nothing crosses"
    total_ms = plan.predicted.total_s * 1e3 if plan.predicted is not None else float("nan")
    return f"{plan.kind:10} {total_ms:9.2f} ms  {len(plan.edge_ops)} ops on the edge; {crossing}"
