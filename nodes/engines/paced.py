"""Real outputs at the times that a device profile gives: the eager engine computes them, then the worker sleeps.

For tests of capacity: ten replicas that would keep ten devices busy fit on two cores. Plans, decisions and every output
name the engine.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from isthmus.errors import InvalidConfiguration
from nodes.engines.base import Runnable, Runner
from nodes.engines.eager import EagerEngine
from partitioner.graph import ModelGraph
from partitioner.onnx_model import OnnxSegment
from partitioner.profiles import DeviceProfile
from partitioner.torch_model import TorchSegment

__all__ = ["PacedEngine", "ops_between"]


class PacedEngine:
    """Bit-exact as eager is. A segment takes the sum of its ops' times in the profile, for the batch that came, or as
    long as it really takes where that is more: give it models that this machine computes much sooner.

    threads: of the real computing, as in `EagerEngine`. Raises InvalidConfiguration for no threads.
    """

    name, device, slowdown = "paced", "cpu", 1.0

    def __init__(self, profile: DeviceProfile, threads: int = 1) -> None:
        """profile: has measured or scaled op times of every model that is to be run."""
        self._profile = profile
        self._exact = EagerEngine(threads=threads)
        self.threads = threads

    @classmethod
    def reading(cls, profile: str, threads: int = 1) -> PacedEngine:
        """Paced by the profile in that file. Raises InvalidConfiguration where there is none, InvalidProfile."""
        try:
            text = Path(profile).read_bytes()
        except OSError as error:
            remedy = "make one with `isthmus profile MODEL -o FILE`"
            problem = f"cannot be read: {error.strerror}" if profile else "is missing for engine: paced"
            raise InvalidConfiguration("cloud.paced_by", problem, value=profile or None, remedy=remedy) from None
        return cls(DeviceProfile.from_json(text), threads)

    @property
    def held_bytes(self) -> int:
        """See `Engine`."""
        return self._exact.held_bytes

    def prepare(self, segments: Iterable[Runnable]) -> float:
        """See `Engine`: nothing to do."""
        return 0.0

    def load(self, segment: Runnable) -> Runner:
        """See `Engine`. Raises InvalidConfiguration for a model whose ops the profile does not have."""
        run = self._exact.load(segment)
        if not isinstance(segment, TorchSegment | OnnxSegment):
            return run  # nothing of a model: it takes what it takes
        model = segment.model
        if not self._profile.has_op_times(model.digest):
            remedy = f"measure it: isthmus profile {model.name} -o FILE"
            raise InvalidConfiguration("cloud.paced_by", f"has no times of {model.name}", remedy=remedy)
        ops = ops_between(model.graph, segment.inputs, segment.outputs)
        return _PacedRunner(run, self._profile, model.graph, model.digest, segment.inputs, ops)


@dataclass(frozen=True, slots=True)
class _PacedRunner:
    run: Runner
    profile: DeviceProfile
    graph: ModelGraph
    model_digest: str
    inputs: tuple[str, ...]
    ops: frozenset[str]
    times: dict[int, float] = field(default_factory=dict)

    def __call__(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        started_s = time.perf_counter()
        outputs = self.run(*tensors)
        time.sleep(max(0.0, started_s + self._seconds(tensors) - time.perf_counter()))
        return outputs

    def _seconds(self, tensors: tuple[torch.Tensor, ...]) -> float:
        batch = self._batch(tensors)
        if batch not in self.times:
            by_op: Mapping[str, float] = self.profile.op_seconds(self.graph, self.model_digest, batch)
            self.times[batch] = sum(by_op[name] for name in self.ops)
        return self.times[batch]

    def _batch(self, tensors: tuple[torch.Tensor, ...]) -> int:
        for name, tensor in zip(self.inputs, tensors, strict=True):
            for size, found in zip(self.graph.tensors[name].shape, tensor.shape, strict=True):
                if size.per_item:
                    return max(1, (found - size.fixed) // size.per_item)
        return 1


def ops_between(graph: ModelGraph, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> frozenset[str]:
    """The ops that make `outputs` of `inputs`."""
    wanted, ops = set(outputs) - set(inputs), set[str]()
    for op in reversed(graph.ops):
        if not wanted.isdisjoint(op.outputs):
            ops.add(op.name)
            wanted |= set(op.inputs) - set(inputs)
    return frozenset(ops)
