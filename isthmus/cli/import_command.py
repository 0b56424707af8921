"""`isthmus import`: an artifact of a model."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from isthmus.cli.model_argument import ModelArgument
from isthmus.cli.output_file import check_folder, write_folder

__all__ = ["import_model"]


def import_model(
    model: ModelArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write the artifact to.")],
    example: Annotated[
        list[str] | None,
        typer.Option(help="Each input that the file does not tell: 1x3x224x224, 1x64:int64, or pinned: =16000:int64."),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="Inputs that stand for real traffic: an .npz of arrays by input name, perhaps with groups (the source "
            "of each item) and truth (its right class). Codecs are calibrated and judged on them."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make an artifact (graph, weights and spec: data only) of a model."""
    from isthmus.cli.calibration_file import read_calibration
    from isthmus.cli.example_tensor import example_tensor
    from partitioner.artifact import save_artifact
    from partitioner.model_source import resolve_model

    check_folder(output, "--output")
    made = resolve_model(model, example_inputs=tuple(map(example_tensor, example or ())))
    if calibration is not None:
        made = made.calibrated(read_calibration(calibration, made))
    write_folder(output, "--output", partial(save_artifact, made))
    facts = {"model": made.name, "digest": made.digest, "ops": len(made.graph.ops), "folder": str(output)}
    text = f"{made.name}: {len(made.graph.ops)} ops, digest {made.digest[:12]}, written to {output}"
    print(json.dumps(facts) if as_json else text)
