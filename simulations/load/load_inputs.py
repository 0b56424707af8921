"""What the requests of a load hold: files or arrays that people give, or noise of the shape that a model wants."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from isthmus.client import AsyncClient, InputFacts, Value
from isthmus.errors import InvalidInput
from nodes.datatypes import datatype_of
from simulations.load.client_kind import ClientKind

__all__ = ["LoadInputs", "input_files", "load_inputs", "read_inputs"]

_MODEL = "MODEL=FILE"


@dataclass(frozen=True, slots=True)
class LoadInputs:
    """What may be sent to one model: each is a whole request's inputs, by name."""

    choices: tuple[Mapping[str, Value], ...]

    def draw(self, source: random.Random) -> Mapping[str, Value]:
        """One of them."""
        return self.choices[0] if len(self.choices) == 1 else source.choice(self.choices)


def input_files(given: Sequence[str], models: Sequence[str]) -> Mapping[str, tuple[Path, ...]]:
    """By model, what is to be sent to it. given: MODEL=FILE, or a bare FILE where there is one model. models: that the
    clients ask for; what stands before a "=" and is none of them belongs to the name of the file.

    Raises InvalidInput for a bare file where there are several.
    """
    names = sorted(set(models))
    found = dict[str, tuple[Path, ...]]()
    for text in given:
        model, path = _named(text, names)
        found[model] = (*found.get(model, ()), Path(path))
    return found


def _named(text: str, models: Sequence[str]) -> tuple[str, str]:
    model, equals, path = text.partition("=")
    if equals and model in models:
        return model, path
    if len(models) == 1:
        return models[0], text
    remedy = f"write {_MODEL}, with one of: {', '.join(models)}"
    raise InvalidInput("--input", "does not say for which of several models it is", value=text, remedy=remedy)


def read_inputs(paths: Sequence[Path]) -> tuple[Value, ...]:
    """Arrays of .npy files, the bytes of others; of a folder, those in it. Raises InvalidInput."""
    values = []
    for path in paths:
        files = sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]
        values += [_read(one) for one in files]
    if paths and not values:
        raise InvalidInput("--input", "holds no file", value=str(paths[0]))
    return tuple(values)


def _read(path: Path) -> Value:
    try:
        return np.load(path, allow_pickle=False) if path.suffix == ".npy" else path.read_bytes()
    except (OSError, ValueError) as error:
        raise InvalidInput("--input", f"cannot be read: {error}", value=str(path)) from error


async def load_inputs(
    client: AsyncClient, kinds: Sequence[ClientKind], given: Mapping[str, Sequence[Value]]
) -> Mapping[str, LoadInputs]:
    """By a kind's name. Of the values given for its model, files go to kinds whose requests bring such, arrays to the
    others, each to the first input; a kind of tensors for which there is none gets noise.

    Raises InvalidInput where a kind's requests bring files and none is given, or files are given and no kind's requests
    bring any; NotFound and Unavailable of the edge.
    """
    with_files = {kind.model for kind in kinds if kind.files}
    for kind in kinds:
        values = given.get(kind.model, ())
        if kind.model not in with_files and any(isinstance(value, bytes) for value in values):
            problem = f"has files, and requests of the clients {kind.name} bring tensors"
            raise InvalidInput("--input", problem, remedy="give .npy files, or set `file` of these clients")
    return {kind.name: LoadInputs(await _of_kind(client, kind, given.get(kind.model, ()))) for kind in kinds}


async def _of_kind(client: AsyncClient, kind: ClientKind, given: Sequence[Value]) -> tuple[Mapping[str, Value], ...]:
    facts = await client.describe_inputs(kind.model)
    fitting = [value for value in given if isinstance(value, bytes) == kind.files]
    if fitting:
        rest = {one.name: _noise(one) for one in facts[1:]}
        return tuple({facts[0].name: value, **rest} for value in fitting)
    if kind.files:
        raise InvalidInput(
            "--input",
            f"is missing: requests of the clients {kind.name} bring files",
            remedy=f"name a file or a folder, like {kind.model}=photos/",
        )
    return ({one.name: _noise(one) for one in facts},)


def _noise(facts: InputFacts) -> Value:
    """One item of that shape: noise, or zeros for integers, a valid index anywhere."""
    numpy_name = datatype_of(facts.datatype, f"input {facts.name}").numpy
    if not numpy_name:
        raise InvalidInput(f"input {facts.name}", "has no noise of its datatype", value=facts.datatype)
    shape = tuple(max(1, size) for size in facts.shape)
    dtype = np.dtype(numpy_name)
    if dtype.kind != "f":
        return np.zeros(shape, dtype)
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)
