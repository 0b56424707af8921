"""Calibration inputs in a file: arrays by the names of the model's inputs, as numpy.savez writes them.

Besides, where they are known: `groups`, the source of each item, and `truth`, its right class.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from isthmus.errors import InvalidInput
from partitioner.model import Calibration, Model

__all__ = ["read_calibration"]

_OPTION = "--calibration"
_NUMBERS = ("groups", "truth")


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
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except OSError as error:
        raise InvalidInput(_OPTION, f"cannot be read: {error.strerror}", value=str(path)) from error
    except (ValueError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        remedy = "write it with numpy.savez: arrays by input name"
        raise InvalidInput(_OPTION, "is no .npz file of plain arrays", value=str(path), remedy=remedy) from error


def _input(array: npt.NDArray[Any], name: str, model: Model) -> torch.Tensor:
    info = model.graph.tensors[name]
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
