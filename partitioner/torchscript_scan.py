"""What a TorchScript archive holds, looked at before torch opens it: loading runs `__setstate__`, exporting `forward`.

The code in it is source of TorchScript's own language, run by an interpreter that knows torch's operators and nothing
else: no import, no attribute of a Python object. So it is data, as long as the operators that it names only compute:
those that a model may use and those of the language; others (they write files, map files, read memory unchecked) are
refused however they are spelled, as are operators and classes from outside torch. Its pickles may name the archive's
own classes, tensors and storages only. What passes is written into a new archive without debug information, so that
torch reads exactly what was scanned.
"""

from __future__ import annotations

import ast
import io
import pickletools
import re
import zipfile
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path

import torch

from isthmus.errors import InvalidModel
from partitioner.script_names import PRIMITIVES, may_stand_in_source
from partitioner.zip_entries import DAMAGED, archive_of, check_names, read_entries

__all__ = ["is_torchscript", "scanned_torchscript"]

_MAX_SOURCE_BYTES = 64 << 20
_ENTRIES = re.compile(
    r"((data|constants|traced_inputs)(/\d+|\.pkl)|code/[\w/]+\.py|version|byteorder|\.data/\w+|\.format_version"
    r"|\.storage_alignment)\Z"
)
_DROPPED = re.compile(r"(code/[\w/]+\.py\.debug_pkl|extra/[\w./-]+)\Z")
_GLOBALS = re.compile(
    r"(__torch__(?!\.torch\.classes)(\.\w+)* \w+|torch \w+Storage|torch device|collections OrderedDict"
    r"|torch\._utils _rebuild_(tensor_v2|parameter)|torch\.jit\._pickle (build_\w+|restore_type_tag))\Z"
)
# Other ways to name a class or an object; torch's own writer uses none of them.
_REFUSED_OPCODES = frozenset({"STACK_GLOBAL", "INST", "OBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "PERSID"})
# Not to be had but as the beginning of a longer name: as a value they would hide which operator is meant.
_NAMESPACES = (["torch"], ["ops"], ["ops", "aten"], ["ops", "prim"], ["__torch__"], ["__torch__", "torch"])
_REMEDY = "save it again with torch.jit.save, or load it in Python yourself if you trust it"


def is_torchscript(path: Path) -> bool:
    """Whether the file is a zip archive with TorchScript code."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.partition("/")[2].startswith("code/") for name in archive.namelist())
    except DAMAGED:
        return False


def scanned_torchscript(path: Path) -> io.BytesIO:
    """An archive with the scanned contents of the file at `path`, for `torch.jit.load`.

    Raises InvalidModel naming the file and what it holds.
    """
    entries = read_entries(path, partial(_checked, path), _REMEDY)
    for name, content in entries.items():
        if name.endswith(".py"):
            _check_source(path, name, content)
        elif name.endswith(".pkl"):
            _check_pickle(path, name, content)
    return archive_of(entries)


def _checked(path: Path, infos: Sequence[zipfile.ZipInfo]) -> Sequence[zipfile.ZipInfo]:
    kept = [i for i in infos if not _DROPPED.match(i.filename.partition("/")[2])]
    check_names(path, kept, _ENTRIES, _REMEDY)
    return kept


def _check_pickle(path: Path, name: str, content: bytes) -> None:
    try:
        for opcode, argument, _ in pickletools.genops(content):
            foreign = opcode.name == "GLOBAL" and not _GLOBALS.match(str(argument))
            if foreign or opcode.name in _REFUSED_OPCODES:
                what = argument if foreign else opcode.name
                raise InvalidModel(
                    str(path), f"{name} names something that is no plain data", value=what, remedy=_REMEDY
                )
    except ValueError as error:
        raise InvalidModel(str(path), f"{name} is damaged: {error}", remedy=_REMEDY) from error


def _check_source(path: Path, name: str, content: bytes) -> None:
    if len(content) > _MAX_SOURCE_BYTES:
        raise InvalidModel(str(path), f"{name} is too large", remedy=_REMEDY)
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InvalidModel(str(path), f"{name} is not TorchScript: {error}", remedy=_REMEDY) from error
    for problem in _problems(tree):
        raise InvalidModel(str(path), f"{name} {problem}", remedy=_REMEDY)


def _problems(tree: ast.AST) -> Iterator[str]:
    """What the source does beyond computing."""
    begun = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield "imports something"
        if isinstance(node, ast.Name | ast.Attribute) and id(node) not in begun and _chain(node) in _NAMESPACES:
            yield f"uses {'.'.join(_chain(node))} as a value"
        if isinstance(node, ast.Attribute):
            match _chain(node):
                case ["torch" | "ops", *_] as chain if not _is_allowed(chain):
                    yield f"uses {'.'.join(chain)}, which a model may not"
                case ["__torch__", "torch", "classes", *rest]:
                    yield f"uses the foreign class {'.'.join(rest)}"
        if _is_forbidden(_attribute(node)):
            yield f"uses the operator {_attribute(node)}, which a model may not"


def _attribute(node: ast.AST) -> str:
    """The name that is looked up in something: "relu" in `x.relu` and in `getattr(x, "relu")`."""
    match node:
        case ast.Attribute(attr=name):
            return name
        case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=str(name)), *_]):
            return name
        case _:
            return ""


def _is_forbidden(name: str) -> bool:
    """Whether a tensor would take that name for an operator that may not stand in source."""
    return name in _torch_operators() and not may_stand_in_source(name)


def _chain(node: ast.AST) -> list[str]:
    """["torch", "relu"] for `torch.relu`; empty when it does not begin with a name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else []


def _is_allowed(chain: list[str]) -> bool:
    match chain:
        case ["torch", operator] | ["ops", "aten", operator]:
            return operator in _torch_operators() and may_stand_in_source(operator)
        case ["ops", "prim", operator]:
            return operator in PRIMITIVES
        case ["ops", "prim"] | ["ops", "aten"]:
            return True
        case _:
            return False


@cache
def _torch_operators() -> frozenset[str]:
    """The names of TorchScript's `aten` operators in this torch."""
    schemas = torch._C._jit_get_all_schemas()
    return frozenset(s.name.removeprefix("aten::") for s in schemas if s.name.startswith("aten::"))
