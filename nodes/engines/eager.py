"""torch, op by op: the exact engine, on the CPU or on a GPU."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from isthmus.errors import ComputeFailed, InvalidConfiguration, IsthmusError
from nodes.engines.base import Runner, Segment
from nodes.engines.placement import DeviceWeights, place
from nodes.engines.slowdown import check_slowdown, run_slowed

__all__ = ["EagerEngine"]


class EagerEngine:
    """Bit-exact: what it computes in segments equals the whole model on the same device, threads and strides.

    threads: the budget that its `ComputePool` gives each worker. slowdown: emulated, 1 for none. On a GPU segments get
    copies of the weights there, one for all segments of this engine; the model's own weights stay where they are.
    Raises InvalidConfiguration for a slowdown below 1 or no threads.
    """

    name = "eager"

    def __init__(self, device: str = "cpu", threads: int = 1, slowdown: float = 1.0) -> None:
        if threads < 1:
            raise InvalidConfiguration("threads", "must be 1 or more", value=threads)
        self.device, self.threads, self.slowdown = device, threads, check_slowdown(slowdown)
        self._weights: DeviceWeights = {}

    def load(self, segment: Segment) -> Runner:
        """See `Engine`."""
        return _EagerRunner(place(segment, self.device, self._weights), self.device, self.slowdown)


@dataclass(frozen=True, slots=True)
class _EagerRunner:
    segment: Segment
    device: str
    slowdown: float

    def __call__(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        try:
            return run_slowed(self.slowdown, self._run, *tensors)
        except IsthmusError:
            raise
        except Exception as error:
            raise ComputeFailed(f"a segment raised {type(error).__name__}: {_first_line(error)}") from error

    def _run(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with torch.inference_mode():  # 1.1 to 1.45 times slower without
            outputs = self.segment(*(tensor.to(self.device) for tensor in tensors))
            return tuple(output.cpu() for output in outputs)  # waits for a GPU


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
