"""Peak arithmetic, memory bandwidth and the overhead of an op: what op times are guessed from before they are measured.

See Williams, Waterman and Patterson, "Roofline: an insightful visual performance model", CACM 2009.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from nodes.measure.timing import is_noisy, measure
from partitioner.measurements import Measurement

__all__ = ["RooflineTimes", "measure_roofline"]

_DTYPES = {"cpu": ("float32", "bfloat16"), "cuda": ("float32", "float16", "bfloat16")}
_MATMUL_SIZE = {"cpu": 512, "cuda": 4096}
_CONVOLUTION_SIZE = {"cpu": (1, 64, 56), "cuda": (32, 256, 56)}  # batch, channels, height and width
_COPIED_BYTES = {"cpu": 32 << 20, "cuda": 1 << 30}
_OPS_IN_A_ROW = 100


@dataclass(frozen=True, slots=True)
class RooflineTimes:
    """flops_per_s: the better of a matmul and a convolution, by dtype; kind_flops_per_s: each of them and a depthwise
    convolution, by "matmul float32". noisy: some repeats disagreed too much."""

    flops_per_s: dict[str, float]
    kind_flops_per_s: dict[str, float]
    memory_bytes_per_s: float
    op_overhead_s: float
    noisy: bool


def measure_roofline(device: str, budget_s: float = 1.0) -> RooflineTimes:
    """Measure `device` ("cpu" or "cuda") on the calling thread, for about `budget_s` seconds."""
    dtypes = _DTYPES[device]
    share_s = budget_s / (len(_KINDS) * len(dtypes) + 2)
    with torch.inference_mode():
        arithmetic = {
            f"{kind} {name}": run(device, getattr(torch, name), share_s)
            for name in dtypes
            for kind, run in _KINDS.items()
        }
        copied, copy = _copying(device, share_s)
        chain = _op_chain(device, share_s)
    rates = {kind: flops / time.seconds for kind, (flops, time) in arithmetic.items()}
    return RooflineTimes(
        {name: max(rates[f"matmul {name}"], rates[f"convolution {name}"]) for name in dtypes},
        rates,
        copied / copy.seconds,
        chain.seconds / _OPS_IN_A_ROW,
        is_noisy(copy) or any(is_noisy(time) for _, time in arithmetic.values()),
    )


def _timed(device: str, call: Callable[[], object], budget_s: float) -> Measurement:
    def finished() -> None:
        call()
        if device == "cuda":
            torch.cuda.synchronize()

    first = measure(finished, min_repeats=1, max_repeats=1, warm_ups=0)
    if first.seconds > budget_s:  # bfloat16 without hardware for it takes 40 times as long: one run says enough
        return first
    return measure(finished, budget_s=budget_s, min_repeats=3)


def _matmul(device: str, dtype: torch.dtype, budget_s: float) -> tuple[int, Measurement]:
    size = _MATMUL_SIZE[device]
    matrix = torch.randn(size, size, device=device).to(dtype)
    return 2 * size**3, _timed(device, lambda: matrix @ matrix, budget_s)


def _convolution(device: str, dtype: torch.dtype, budget_s: float) -> tuple[int, Measurement]:
    batch, channels, size = _CONVOLUTION_SIZE[device]
    values = torch.randn(batch, channels, size, size, device=device).to(dtype)
    weight = torch.randn(channels, channels, 3, 3, device=device).to(dtype)
    flops = 2 * batch * size * size * 9 * channels**2
    return flops, _timed(device, lambda: torch.conv2d(values, weight, padding=1), budget_s)


def _depthwise(device: str, dtype: torch.dtype, budget_s: float) -> tuple[int, Measurement]:
    batch, channels, size = _CONVOLUTION_SIZE[device]
    values = torch.randn(batch, channels, size, size, device=device).to(dtype)
    weight = torch.randn(channels, 1, 3, 3, device=device).to(dtype)
    flops = 2 * batch * size * size * 9 * channels
    return flops, _timed(device, lambda: torch.conv2d(values, weight, padding=1, groups=channels), budget_s)


_KINDS = {"matmul": _matmul, "convolution": _convolution, "depthwise": _depthwise}


def _copying(device: str, budget_s: float) -> tuple[int, Measurement]:
    source = torch.zeros(_COPIED_BYTES[device] // 4, device=device)
    target = torch.empty_like(source)
    return 2 * _COPIED_BYTES[device], _timed(device, lambda: target.copy_(source), budget_s)


def _op_chain(device: str, budget_s: float) -> Measurement:
    one = torch.zeros(1, device=device)

    def chain() -> None:
        for _ in range(_OPS_IN_A_ROW):
            torch.neg(one)

    return _timed(device, chain, budget_s)
