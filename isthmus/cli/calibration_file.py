"""Calibration inputs in a file: arrays by the names of the model's inputs, as numpy.savez writes them.

Besides, where they are known: `groups`, the source of each item, and `truth`, its right class.
"""

from __future__ import annotations

import tokenize
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from isthmus.errors import InvalidInput
from partitioner.model import Calibration, Model
from partitioner.zip_entries import DAMAGED

__all__ = ["read_calibration"]

_OPTION = "--calibration"
_NUMBERS = ("groups", "truth")
_REMEDY = "write it with numpy.savez: arrays by input name"
# Of an array's own header: a dtype, a shape or an expression that is none, or more than the memory holds.
_NO_ARRAY = (AttributeError, TypeError, SyntaxError, tokenize.TokenError, RecursionError, MemoryError)


def read_calibration(path: Path, model: Model) -> Calibration:
    """The calibration inputs of `model` in that file. Raises InvalidInput naming what does not fit; nothing is
    unpickled."""
    arrays = _arrays(path)
    wanted = model.graph.inputs
    strangers = sorted(arrays.keys() - set(wanted) - set(_NUMBERS))
    missing = [name for name in wanted if name not in arrays]
    if strangers or missing:
        problem = f"has no array {missing[0]!r}" if missing else f"has an array {strangers[0]!r} that is no input"
        raise InvalidInput(_OPTION, problem, value=str(path), remedy=f"name them: {', '.join((*wanted, *_NUMBERS))}")
    inputs = tuple(_input(arrays[name], name, model) for name in wanted)
    if len({len(one) for one in inputs}) > 1 or not len(inputs[0]):
        counts = [len(one) for one in inputs]
        raise InvalidInput(_OPTION, "must hold as many items of every input, one at least", value=counts)
    groups, truth = (_numbers(arrays, name, len(inputs[0])) for name in _NUMBERS)
    return Calibration(inputs, groups, truth)


def _arrays(path: Path) -> Mapping[str, npt.NDArray[Any]]:
    try:
        raw = path.open("rb")
    except OSError as error:
        raise InvalidInput(_OPTION, f"cannot be read: {error.strerror}", value=str(path)) from error
    problem = "is no .npz file of plain arrays"
    with raw:
        try:
            with np.load(raw, allow_pickle=False) as file:
                found = {name: file[name] for name in file.files}
        except (*DAMAGED, *_NO_ARRAY) as error:
            raise InvalidInput(_OPTION, problem, value=str(path), remedy=_REMEDY) from error
    if not all(isinstance(one, np.ndarray) for one in found.values()):  # other entries come as their bytes
        raise InvalidInput(_OPTION, problem, value=str(path), remedy=_REMEDY)
    return found


def _input(array: npt.NDArray[Any], name: str, model: Model) -> torch.Tensor:
    info = model.graph.tensors[name]
    if not info.rows_are_items:
        problem, remedy = "does not begin with the batch, so that items are not told apart", "import it without"
        raise InvalidInput(f"{_OPTION}, input {name}", problem, remedy=remedy)
    shape = info.shape_at(1)[1:]
    if array.ndim == 0 or str(array.dtype) != info.dtype or array.shape[1:] != shape:
        found = f"{array.dtype} {list(array.shape)}"
        remedy = f"give {info.dtype}, items first: [items{''.join(f', {size}' for size in shape)}]"
        raise InvalidInput(f"{_OPTION}, input {name}", "does not fit the model", value=found, remedy=remedy)
    return torch.from_numpy(np.ascontiguousarray(array))


def _numbers(arrays: Mapping[str, npt.NDArray[Any]], name: str, count: int) -> tuple[int, ...]:
    found = arrays.get(name)
    if found is None:
        return ()
    if found.shape != (count,) or found.dtype.kind not in "iu":
        remedy = f"give a whole number for each of the {count} items"
        raise InvalidInput(
            f"{_OPTION}, {name}", "does not fit", value=f"{found.dtype} {list(found.shape)}", remedy=remedy
        )
    return tuple(int(number) for number in found)
