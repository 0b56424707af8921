"""Runs a segment on a GPU: its tensors go there and its outputs come back through page-locked memory, on one stream.

A copy from or to pageable memory is made in pieces through a buffer of the driver's, and the thread waits for it before
it can give the next one or a kernel. From page-locked memory the GPU copies by itself: all that a run needs is given to
the stream at once, and the thread waits once, at the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from nodes.engines.base import Runnable
from nodes.engines.running import run_segment

__all__ = ["CudaRunner"]


@dataclass(frozen=True, slots=True)
class CudaRunner:
    """See `Runner`. stream: of its engine. What several threads give it runs one after the other."""

    segment: Runnable
    stream: torch.cuda.Stream
    slowdown: float

    def __call__(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """See `Runner`. The outputs are in page-locked memory."""
        return run_segment(self.slowdown, self._run, tensors)

    def _run(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with torch.inference_mode(), torch.cuda.stream(self.stream):
            # Named, so that all of them live until the stream has passed: the copies read and write them until then.
            pinned = [tensor if tensor.is_pinned() else _pinned_like(tensor).copy_(tensor) for tensor in tensors]
            try:
                given = [tensor.to(self.stream.device, non_blocking=True) for tensor in pinned]
                made = self.segment(*given)
                return tuple([_fetched(output) for output in made])
            finally:
                self.stream.synchronize()  # also where it raised: what had begun by then uses weights and tensors


def _fetched(output: torch.Tensor) -> torch.Tensor:
    """Under way to the host. What has gaps is made dense on the GPU first: copies with gaps go through other memory."""
    host = _pinned_like(output)
    dense = output if output.stride() == host.stride() else torch.empty_like(output).copy_(output)
    return host.copy_(dense, non_blocking=True)


def _pinned_like(tensor: torch.Tensor) -> torch.Tensor:
    """Strides as `tensor.cpu()` has them."""
    return torch.empty_like(tensor, device="cpu", pin_memory=True)
