"""What is on the list exists in this torch, is functional, and is of no kind that reads or shows memory unchecked."""

from __future__ import annotations

import torch

from isthmus.errors import InvalidModel
from partitioner.allowed_operators import ALLOWED
from partitioner.operators import resolve

_SHARE_MEMORY_ONLY = {"_unsafe_view", "unsafe_chunk", "unsafe_split", "unsafe_split_with_sizes"}
_HARMFUL = ("unsafe", "nested", "sparse", "strided", "pin_memory", "from_file", "set_", "resize", "empty", "mkldnn")


def resolved(name: str) -> list[torch._ops.OpOverload]:
    """The overloads of that name that a model may call."""
    found = []
    for overload in getattr(torch.ops.aten, name).overloads():
        try:
            found.append(resolve(f"aten.{name}.{overload}"))
        except InvalidModel:
            continue
    return [f for f in found if isinstance(f, torch._ops.OpOverload)]


def test_every_name_is_an_operator_that_changes_nothing() -> None:
    assert [name for name in ALLOWED if not resolved(name)] == []
    written = [
        str(overload)
        for name in ALLOWED
        for overload in resolved(name)
        if any(a.alias_info is not None and a.alias_info.is_write for a in overload._schema.arguments)
        or "(a!)" in str(overload._schema)
    ]
    assert written == []


def test_no_name_is_of_a_harmful_kind() -> None:
    assert [n for n in ALLOWED - _SHARE_MEMORY_ONLY if any(word in n for word in _HARMFUL)] == []


def test_what_is_random_has_a_switch() -> None:
    random = [o for n in ALLOWED for o in resolved(n) if torch.Tag.nondeterministic_seeded in o.tags]
    assert random
    for overload in random:
        assert {"dropout_p", "train", "training"} & {a.name for a in overload._schema.arguments}, str(overload)
