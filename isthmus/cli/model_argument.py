"""The MODEL argument, its example inputs and the profile files that several commands take."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isthmus.errors import InvalidProfile
from isthmus.profile_file import read_profile

if TYPE_CHECKING:
    from partitioner.model import Model
    from partitioner.profiles import DeviceProfile

__all__ = ["Examples", "ModelArgument", "loaded_model", "read_profile_of"]

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="An artifact folder, a model file, or module:callable.")
]
Examples = Annotated[
    list[str] | None,
    typer.Option(
        "--example",
        help="Each input that the file does not tell: 1x3x224x224, 1x64:int64, or pinned: =16000:int64; repeatable.",
    ),
]


def loaded_model(model: str, example: Iterable[str] | None) -> Model:
    """The model that MODEL names, a file that does not say the sizes of its inputs with those of its examples.

    Raises InvalidModel, InvalidInput for an example that is none.
    """
    from isthmus.cli.example_tensor import example_tensor
    from partitioner.model_source import resolve_model

    return resolve_model(model, example_inputs=tuple(map(example_tensor, example or ())))


def read_profile_of(path: Path, model: Model) -> DeviceProfile:
    """The same for planning `model`: without op times the roofline counts. One with those of other models only is a
    file mixed up, and raises InvalidProfile."""
    profile = read_profile(path)
    if profile.op_times and not profile.has_op_times(model.digest):
        remedy = f"run `isthmus profile MODEL -o {path}` with this model"
        raise InvalidProfile(str(path), f"has op times of other models only, none of {model.name}", remedy=remedy)
    return profile
