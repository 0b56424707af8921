"""Commands on models and devices: import, profile, partition."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isthmus.errors import InvalidInput, InvalidProfile
from isthmus.units import parse_size_bytes

if TYPE_CHECKING:
    from partitioner.constraints import Constraints
    from partitioner.partition import BestPlan
    from partitioner.plan import Plan
    from partitioner.profiles import DeviceProfile

__all__ = ["import_model", "partition", "profile"]

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="An artifact folder, a model file, or module:callable.")
]


def import_model(
    model: ModelArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write the artifact to.")],
    example: Annotated[
        list[str] | None,
        typer.Option(help="Each input that the file does not tell: 1x3x224x224, 1x64:int64, or pinned: =16000:int64."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make an artifact (graph, weights and spec: data only) of a model."""
    from isthmus.cli.example_tensor import example_tensor
    from partitioner.artifact import save_artifact
    from partitioner.model_source import resolve_model

    made = resolve_model(model, example_inputs=tuple(map(example_tensor, example or ())))
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
    engine: Annotated[str, typer.Option(help="eager or onnxruntime; a file is of one engine.")] = "eager",
    as_json: Annotated[bool, typer.Option("--json", help="Print the profile as JSON.")] = False,
) -> None:
    """Measure this device; with MODEL, merge the times of its ops into the file."""
    from isthmus import api
    from isthmus.units import parse_duration_s

    budget_s = parse_duration_s(budget, "--budget")
    if model is not None and output.exists():
        measured = _read_profile(output)
        if measured.engine != engine:
            remedy = f"write another file, or use --engine {measured.engine}"
            raise InvalidInput("--engine", f"{output} was measured on {measured.engine}", value=engine, remedy=remedy)
    else:
        measured = api.measure_device(budget_s, device, threads, engine)
    if model is not None:
        measured = api.measure_model(api.load_model(model), measured)
    output.write_text(measured.to_json())
    if as_json:
        print(measured.to_json())
        return
    noisy = ", noisy: measure again on a quiet machine" if measured.provenance.noisy else ""
    peak = measured.flops_per_s.get("float32", 0.0) / 1e9
    print(f"{output}: {measured.name}, {peak:.1f} GFLOP/s float32, {measured.memory_bytes_per_s / 1e9:.1f} GB/s{noisy}")


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
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the plan or frontier as JSON.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan or frontier as JSON.")] = False,
) -> None:
    """Choose the best plan of MODEL for two devices and a link, and say what it beats."""
    from isthmus.api import load_model
    from isthmus.cli.frontier_table import frontier_lines
    from isthmus.planning import Planner
    from partitioner.cost_model import Costing
    from partitioner.link import Link
    from partitioner.picture import cut_picture
    from partitioner.setting import Setting

    link = Link.of(bandwidth=bandwidth, rtt=rtt)
    costing = Costing(
        lossless=not lossy and accuracy_budget is None,
        private_input=privacy == "raw-input",
        constraints=_constraints(privacy, edge_memory),
    )
    loaded = load_model(model)
    planner = Planner(loaded, Setting(_read_profile(edge), _read_profile(cloud), link, costing), accuracy_budget)
    if frontier:
        found = planner.frontier()
        _emit(found.to_json(), frontier_lines(found, link.rtt_s), output, as_json)
        return
    best = planner.best(objective)
    if picture is not None:
        picture.write_text(cut_picture(loaded.graph, best.plan))
    shown = [(best.plan, "*"), *((other, " ") for other in planner.others())]
    lines = [*(f"{mark} {_line(plan)}" for plan, mark in shown), _verdict(best)]
    _emit(best.plan.to_json(), lines, output, as_json)


def _emit(text: str, lines: Iterable[str], output: Path | None, as_json: bool) -> None:
    if output is not None:
        output.write_text(text)
    print(text if as_json else "\n".join(lines), end="" if as_json else "\n")


def _constraints(privacy: str, edge_memory: str) -> Constraints:
    from partitioner.constraints import Constraints

    memory_bytes = parse_size_bytes(edge_memory, "--edge-memory") if edge_memory else math.inf
    up_to = "" if privacy == "raw-input" else privacy
    return Constraints(private_up_to=up_to, edge_memory_bytes=memory_bytes)


def _verdict(best: BestPlan) -> str:
    return f"{best.plan.provenance['objective']}; gap {best.plan.provenance['gap']}"


def _read_profile(path: Path) -> DeviceProfile:
    from partitioner.profiles import DeviceProfile

    try:
        return DeviceProfile.from_json(path.read_text())
    except OSError as error:
        raise InvalidProfile(str(path), f"cannot be read: {error.strerror}", remedy="run `isthmus profile`") from error


def _line(plan: Plan) -> str:
    crossing = ", ".join(f"{t.tensor} as {t.codec} ({t.bytes} B)" for t in plan.boundary) or "nothing crosses"
    total_ms = plan.predicted.total_s * 1e3 if plan.predicted is not None else float("nan")
    return f"{plan.kind:10} {total_ms:9.2f} ms  {len(plan.edge_ops)} ops on the edge; {crossing}"
