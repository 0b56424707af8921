"""Example inputs as people write them on a command line: 1x3x224x224, 1x64:int64, or a number alone: =16000:int64."""

from __future__ import annotations

import math
import re

import torch

from isthmus.errors import InvalidInput
from partitioner.graph import DTYPE_BYTES

__all__ = ["example_tensor"]

_TEXT = re.compile(r"(\d{1,10}(?:x\d{1,10}){0,31})(?::(\w+))?\Z")
_NUMBER = re.compile(r"=(-?\d{1,20}(?:\.\d{1,20})?)(?::(\w+))?\Z")
_MOST_ELEMENTS = 1 << 28
_LEAST_TOO_LARGE = 1 << 63  # for int64


def example_tensor(text: str) -> torch.Tensor:
    """A tensor of that shape and dtype (float32 unless said): noise, or zeros for integers, a valid index anywhere.

    "=16000:int64" is that number, without dimensions. Raises InvalidInput for anything else, a number that the dtype
    cannot hold included.
    """
    number = _NUMBER.match(text)
    if number and (number[2] or "float32") in DTYPE_BYTES:
        made = _number(number[1], getattr(torch, number[2] or "float32"))
        if made is not None:
            return made
    match = _TEXT.match(text)
    dtype = (match[2] or "float32") if match else ""
    shape = [int(size) for size in match[1].split("x")] if match else []
    if dtype not in DTYPE_BYTES or math.prod(shape) > _MOST_ELEMENTS:
        raise InvalidInput("--example", "is not a shape", value=text, remedy="write it like 1x3x224x224 or 1x64:int64")
    wanted = getattr(torch, dtype)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return (noise if wanted.is_floating_point else torch.zeros(shape)).to(wanted)


def _number(text: str, dtype: torch.dtype) -> torch.Tensor | None:
    """None where it is too large for the dtype, or a fraction for integers."""
    exact = int(text) if "." not in text else float(text)  # a float holds no large integer
    if abs(exact) >= _LEAST_TOO_LARGE:
        return None
    made = torch.tensor(exact).to(dtype)
    is_rounded = dtype.is_floating_point or dtype.is_complex
    return made if (bool(made.isfinite()) if is_rounded else made.item() == exact) else None
