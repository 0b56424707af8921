"""The only way from a call's text to something that runs: listed functional ATen operators and size arithmetic."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import torch

from isthmus.errors import InvalidModel
from partitioner.allowed_operators import ALLOWED
from partitioner.graph import Dimension
from partitioner.program import GETITEM, Call, Program, Ref, Value

__all__ = ["SIZE_FUNCTIONS", "check_operators", "resolve"]

SIZE_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "sym.add": operator.add,
    "sym.sub": operator.sub,
    "sym.mul": operator.mul,
    "sym.floordiv": operator.floordiv,
    "sym.truediv": operator.truediv,
    "sym.mod": operator.mod,
    "sym.neg": operator.neg,
    "sym.eq": operator.eq,
    "sym.ne": operator.ne,
    "sym.lt": operator.lt,
    "sym.le": operator.le,
    "sym.gt": operator.gt,
    "sym.ge": operator.ge,
    "sym.ceil": math.ceil,
    "sym.floor": math.floor,
    "sym.trunc": math.trunc,
    "sym.sqrt": math.sqrt,
    "sym.int": torch.sym_int,
    "sym.float": torch.sym_float,
    "sym.max": torch.sym_max,
    "sym.min": torch.sym_min,
    "sym.ite": torch.sym_ite,
}
"""What a model may compute from sizes (those that are not affine in the batch; affine ones are `Dimension` values)."""

_TARGET = re.compile(r"aten\.([A-Za-z0-9_]+)\.([A-Za-z0-9_]+)\Z")


def check_operators(program: Program) -> None:
    """Raise InvalidModel naming the first call whose target is not allowed or that its schema does not take."""
    for call in program.calls:
        function = resolve(call.target)
        if isinstance(function, torch._ops.OpOverload):
            _check_arguments(call, function)
        elif call.target == GETITEM:
            _check_getitem(call)
        elif call.kwargs or not all(_is_size(a) for a in call.args):
            raise InvalidModel(f"call {call.name!r}", "computes sizes from something else", remedy="export again")


@cache
def resolve(target: str) -> Callable[..., Any]:
    """The function that a call's target names. Raises InvalidModel naming the op and why it is refused."""
    if target == GETITEM:
        return operator.getitem
    if target in SIZE_FUNCTIONS:
        return SIZE_FUNCTIONS[target]
    overload = _overload(target)
    reason = _refusal(overload)
    if reason:
        raise InvalidModel(f"op {target!r}", reason[0], remedy=reason[1])
    return overload


def _overload(target: str) -> torch._ops.OpOverload:
    match = _TARGET.match(target)
    packet = getattr(torch.ops.aten, match[1], None) if match else None
    overload = getattr(packet, match[2], None) if match and isinstance(packet, torch._ops.OpOverloadPacket) else None
    if not isinstance(overload, torch._ops.OpOverload):
        raise InvalidModel(f"op {target!r}", "is not a known ATen operator", remedy="use operators of torch itself")
    return overload


def _refusal(overload: torch._ops.OpOverload) -> tuple[str, str] | None:
    """Why an operator may not stand in a model, and what to do about it; None when it may."""
    if overload._schema.is_mutable:
        return "changes a tensor in place", "write the model without in-place state"
    if torch.Tag.data_dependent_output in overload.tags:
        return "makes sizes or numbers that depend on the data", "use a form with a fixed size, such as torch.where"
    if overload._schema.name.removeprefix("aten::") not in ALLOWED:
        remedy = "rewrite the model without it, or show that it is safe and add it to partitioner/allowed_operators.py"
        return "is not among the operators that a model may use", remedy
    return None


def _check_arguments(call: Call, function: torch._ops.OpOverload) -> None:
    arguments = function._schema.arguments
    known = {a.name for a in arguments}
    positional = [a for a in arguments if not a.kwarg_only]
    unknown = [k for k, _ in call.kwargs if k not in known]
    if unknown or len(call.args) > len(positional):
        problem = f"{call.target} does not take these arguments"
        raise InvalidModel(f"call {call.name!r}", problem, value=unknown or len(call.args), remedy="export again")
    if torch.Tag.nondeterministic_seeded in function.tags and not _is_quiet(call, arguments):
        remedy = "call .eval() on the module, or take the random op out"
        raise InvalidModel(f"op {call.name!r} ({call.target})", "is random", remedy=remedy)
    if _keeps_statistics(call, function):
        remedy = "call .eval() on the module, so that its norms only read their statistics"
        raise InvalidModel(f"op {call.name!r} ({call.target})", "changes the statistics that it reads", remedy=remedy)


def _is_quiet(call: Call, arguments: Sequence[torch.Argument]) -> bool:
    """Whether an operator that may be random (attention, a recurrent layer) has its randomness switched off."""
    given = _given(call, arguments)
    switches = [a for a in arguments if a.name in ("dropout_p", "train", "training")]
    return bool(switches) and all(given.get(a.name, a.default_value) in (0, False) for a in switches)


def _keeps_statistics(call: Call, function: torch._ops.OpOverload) -> bool:
    """Whether a norm writes into the running mean that it is given, of which its schema says nothing."""
    switch = {"aten::batch_norm": "training", "aten::instance_norm": "use_input_stats"}.get(function._schema.name)
    given = _given(call, function._schema.arguments)
    return switch is not None and given.get("running_mean") is not None and given.get(switch) is not False


def _given(call: Call, arguments: Sequence[torch.Argument]) -> dict[str, Value]:
    """The call's arguments by name."""
    return dict(zip((a.name for a in arguments), call.args, strict=False)) | dict(call.kwargs)


def _check_getitem(call: Call) -> None:
    match call.args:
        case (Ref(), int(index)) if not call.kwargs and not isinstance(index, bool) and index >= 0:
            return
        case _:
            raise InvalidModel(f"call {call.name!r}", "is not the fetch of one result", remedy="export again")


def _is_size(value: Value) -> bool:
    return isinstance(value, int | float | Ref | Dimension)
