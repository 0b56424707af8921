"""Runs a segment of which a part was compiled: hands that part what it reads, puts the segment's outputs together."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from nodes.engines.compiled_slice import CompiledRun, CompiledSlice
from nodes.engines.running import run_segment
from partitioner.torch_model import TorchSegment

__all__ = ["CompiledRunner"]

Tensors = tuple[torch.Tensor, ...]


@dataclass(frozen=True, slots=True)
class CompiledRunner:
    """See `Runner`. run: the compiled part; None where no op has to run."""

    segment: TorchSegment
    piece: CompiledSlice
    run: CompiledRun | None
    slowdown: float

    def __call__(self, *tensors: torch.Tensor) -> Tensors:
        """See `Runner`. Raises InvalidRequest for a tensor of a wrong dtype or shape."""
        return run_segment(self.slowdown, self._run, tensors)

    def _run(self, *tensors: torch.Tensor) -> Tensors:
        have = dict(
            zip(reversed(self.segment.inputs), reversed(tensors), strict=True)
        )  # of two places the first counts
        if self.run is not None:
            with torch.inference_mode():
                made = self.run(self.piece.arguments(have))
            have.update(zip(self.piece.outputs, made, strict=True))
        weights = self.segment.model.weights
        return tuple(have[name] if name in have else weights[name] for name in self.segment.outputs)
