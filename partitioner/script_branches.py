"""Where a TorchScript module has control flow: what the refusal of one that cannot be exported names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["ScriptBranch", "script_branches"]

_KINDS = ("prim::If", "prim::Loop")
_FROM_VALUES = frozenset({"aten::Bool", "aten::Int", "aten::Float", "aten::item", "aten::is_nonzero"})
_MOST_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class ScriptBranch:
    """One of them. module: its path, "" for the outermost. on_values: whether what is in a tensor decides it."""

    kind: str
    module: str
    statement: str
    on_values: bool

    def __str__(self) -> str:
        where = f"in module {self.module!r}" if self.module else "in the outermost module"
        return f"{self.kind} {where}: {self.statement}"


def script_branches(script: torch.jit.ScriptModule) -> tuple[ScriptBranch, ...]:
    """All of its own and its submodules' methods; those that values decide alone, where there are any."""
    found = tuple(_found(script))
    return tuple(one for one in found if one.on_values) or found


def _found(script: torch.jit.ScriptModule) -> Iterator[ScriptBranch]:
    for path, module in script.named_modules():
        methods: Any = getattr(module, "_c", None)
        for name in methods._method_names() if methods is not None else ():
            graph = methods._get_method(name).graph
            for kind in _KINDS:
                for node in graph.findAllNodes(kind):
                    yield ScriptBranch(kind, path, _statement(node.sourceRange()), _depends_on_values(node))


def _statement(source: str) -> str:
    """The first line that torch underlines: `if ...:` or `for ...:`."""
    lines = source.splitlines()
    marked = next((at for at, line in enumerate(lines) if line.strip().startswith("~")), 0)
    return lines[marked - 1].strip()[:_MOST_CHARACTERS] if marked else "at a place that the file does not tell"


def _depends_on_values(node: Any) -> bool:
    """Whether a number read out of a tensor goes into the condition, or into how often it loops."""
    stack, seen = [value.node() for value in node.inputs()], set[str]()
    while stack:
        made = stack.pop()
        if made.kind() in _FROM_VALUES and any(str(value.type()) == "Tensor" for value in made.inputs()):
            return True
        for value in made.inputs():
            if value.debugName() not in seen:
                seen.add(value.debugName())
                stack.append(value.node())
    return False
