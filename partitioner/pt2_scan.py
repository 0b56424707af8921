"""What a .pt2 archive holds, looked at before torch opens it: `torch.export.load` runs code in several ways.

Refused: pickled constants, sample inputs that only an unsafe load could read, operators that no model may use, custom
objects and classes, and size expressions or guards that are more than arithmetic (torch evaluates both as Python). What
passes is written into a new archive: torch reads exactly the entries that were scanned; two zip readers may disagree.
"""

from __future__ import annotations

import io
import json
import pickle
import re
import zipfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from isthmus.errors import InvalidModel
from partitioner.allowed_operators import ALLOWED, is_listed
from partitioner.size_grammar import is_size_text
from partitioner.zip_entries import archive_of, check_names, read_entries

__all__ = ["scanned_pt2"]

_ENTRIES = re.compile(
    r"(archive_format|archive_version|byteorder|version|\.data/\w+|models/\w+\.json|data/sample_inputs/\w+\.pt"
    r"|data/(weights|constants)/(\w+_config\.json|(weight|tensor)_\d+))\Z"
)
_OPERATORS = re.compile(
    r"(torch\.ops\.aten\.\w+\.\w+|_operator\.(getitem|add|sub|mul|floordiv|truediv|mod|neg|pow|eq|ne|lt|le|gt|ge|and_|or_)"
    r"|torch\.sym_(int|float|max|min|not|ite|sum)|torch\._sym_sqrt|math\.(ceil|floor|trunc|sqrt))\Z"
)
_CONTAINERS = frozenset({"builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict", None})
_REMEDY = "export the model again with torch.export.save, or load it in Python yourself if you trust it"


def scanned_pt2(path: Path) -> io.BytesIO:
    """An archive with the scanned contents of the file at `path`, for `torch.export.load`.

    Raises InvalidModel naming the file and what it holds.
    """
    entries = read_entries(path, partial(_checked, path), "give a file that torch.export.save wrote")
    for name, content in entries.items():
        kind = name.partition("/")[2]
        if kind.endswith(".json"):
            _check_json(path, kind, _json(path, name, content))
        elif kind.startswith("data/sample_inputs/"):
            _check_sample_inputs(path, content)
    return archive_of(entries)


def _checked(path: Path, infos: Sequence[zipfile.ZipInfo]) -> Sequence[zipfile.ZipInfo]:
    check_names(path, infos, _ENTRIES, _REMEDY)
    if sum(info.filename.partition("/")[2].startswith("models/") for info in infos) != 1:
        raise InvalidModel(str(path), "does not hold exactly one exported model", remedy=_REMEDY)
    return infos


def _json(path: Path, name: str, content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidModel(str(path), f"{name} is not JSON: {error}", remedy=_REMEDY) from error


def _check_sample_inputs(path: Path, content: bytes) -> None:
    if not content:
        return
    try:
        torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, AttributeError) as error:
        raise InvalidModel(str(path), "its sample inputs are not plain tensors", remedy=_REMEDY) from error


def _check_json(path: Path, kind: str, data: Any) -> None:
    for found in _objects(data):
        for key, value in found.items():
            problem = _call_problem(value) if key == "target" and "inputs" in found else _problem(key, value)
            if problem:
                raise InvalidModel(str(path), f"{kind} {problem}", value=value, remedy=_REMEDY)


def _objects(data: Any) -> Iterator[dict[str, Any]]:
    """At any depth."""
    stack = [data]
    while stack:
        found = stack.pop()
        if isinstance(found, dict):
            yield found
            stack.extend(found.values())
        elif isinstance(found, list):
            stack.extend(found)


def _problem(key: str, value: Any) -> str:
    """What is wrong with one key of an archive's JSON; empty when nothing is."""
    if key == "use_pickle" and value is not False:
        return "holds pickled data"
    if key == "expr_str" and not is_size_text(value):
        return "has a size expression that is more than arithmetic"
    if key == "guards_code" and not (value is None or (isinstance(value, list) and all(map(is_size_text, value)))):
        return "has a guard that is more than a comparison of sizes"
    if key == "custom_obj_values" and value:
        return "holds custom objects"
    if key == "as_operator":
        return "hands an operator to another one"
    if key in ("in_spec", "out_spec") and not _is_plain_tree(value):
        return "takes or returns a class that is no tuple, list or dict"
    return ""


def _call_problem(target: Any) -> str:
    """What is wrong with what a node calls. Any name that torch would resolve is refused, by however little of
    "torch" it begins: it takes all up to the first dot for the module."""
    named = isinstance(target, str) and _OPERATORS.match(target)
    # In-place forms become functional when the file is read.
    if named and (not target.startswith("torch.ops.") or is_listed(target.split(".")[-2], ALLOWED)):
        return ""
    return "calls an operator that is not among those that a model may use (partitioner/allowed_operators.py)"


def _is_plain_tree(text: Any) -> bool:
    if not text:
        return True
    try:
        tree = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return False
    return all(found.get("type") in _CONTAINERS for found in _objects(tree))
