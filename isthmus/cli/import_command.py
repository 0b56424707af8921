"""`isthmus import`: an artifact of a model."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from isthmus.cli.model_argument import Examples, ModelArgument, loaded_model
from isthmus.cli.output_file import check_folder, write_folder

__all__ = ["import_model"]


def import_model(
    model: ModelArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write the artifact to.")],
    example: Examples = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="Inputs that stand for real traffic: an .npz of arrays by input name, perhaps with groups (the source "
            "of each item) and truth (its right class). Codecs are calibrated and judged on them."
        ),
    ] = None,
    interface: Annotated[
        Path | None,
        typer.Option(
            help="What a file of a model does not say, as YAML: the preprocessing of inputs that come as pictures, the "
            "labels of outputs, max_batch."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make an artifact (graph, weights and spec: data only) of a model."""
    from isthmus.cli.calibration_file import read_calibration
    from isthmus.cli.interface_file import read_interface
    from isthmus.cli.least_work import least_work
    from isthmus.cli.top_lines import plain
    from partitioner.artifact import save_artifact

    check_folder(output, "--output")
    made = loaded_model(model, example)
    if interface is not None:
        made = made.with_interface(read_interface(interface, made))
    if calibration is not None:
        made = made.calibrated(read_calibration(calibration, made))
    write_folder(output, "--output", partial(save_artifact, made))
    facts = {
        "model": made.name,
        "digest": made.digest,
        "ops": len(made.graph.ops),
        "flops_at_least": list(made.graph.least_counted),
        "folder": str(output),
    }
    text = f"{made.name}: {len(made.graph.ops)} ops, digest {made.digest[:12]}, written to {output}"
    print(json.dumps(facts) if as_json else "\n".join([text, *map(plain, least_work(made.graph))]))
