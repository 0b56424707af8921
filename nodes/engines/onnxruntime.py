"""onnxruntime with every optimisation on: the fast engine on CPUs; on a GPU where it was built for one.

Measured against eager in one run (1 thread, batch 1): 0.42 of its time on efficientnet-lite0, 0.76 on MiniLM. Its
results differ from eager's in the last digits; a plan on it records by how much.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from isthmus.errors import InvalidModel
from nodes.engines.base import Runnable, Runner
from nodes.engines.running import check_threads, run_segment
from nodes.engines.session_cache import SessionCache, SessionKey
from nodes.engines.slowdown import check_slowdown
from partitioner.onnx_form import OnnxForm
from partitioner.onnx_model import OnnxSegment
from partitioner.onnx_providers import session_providers
from partitioner.onnx_session import OnnxSession, offered_providers
from partitioner.torch_model import TorchSegment

__all__ = ["OnnxRuntimeEngine"]


class OnnxRuntimeEngine:
    """Runs slices of a model's ONNX form; a torch model is exported to it once, when its first segment is loaded.

    threads: of one session's run; they never spin. slowdown: emulated, 1 for none. session_bytes: weights that all
    sessions together may hold (each lays out a copy of its own); the least recently used one goes first, and is made
    anew (0.05 to 0.4 s) when it is needed again. device: "cpu" or "cuda". Raises InvalidConfiguration for a slowdown
    below 1 or no threads, DeviceUnavailable where onnxruntime offers nothing for the device.
    """

    name = "onnxruntime"

    def __init__(
        self, threads: int = 1, slowdown: float = 1.0, session_bytes: int = 512 << 20, device: str = "cpu"
    ) -> None:
        session_providers(device, offered_providers())  # what is not there is refused now, not with the first segment
        self.device = device
        self.threads, self.slowdown = check_threads(threads), check_slowdown(slowdown)
        self._sessions = SessionCache(session_bytes)

    def prepare(self, segments: Iterable[Runnable]) -> float:
        """See `Engine`: sessions are made in less than a second, when they are needed."""
        return 0.0

    def load(self, segment: Runnable) -> Runner:
        """See `Engine`. Segments of one slice share a session. Raises InvalidModel for what is no model's segment."""
        if not isinstance(segment, TorchSegment | OnnxSegment):
            remedy = "load a segment that Model.split made"
            raise InvalidModel("segment", "is of no model", value=type(segment).__name__, remedy=remedy)
        runner = _OnnxRuntimeRunner(self, segment, segment.model.onnx_form)
        runner.session()  # what cannot run is refused now, and the first request does not wait
        return runner

    @property
    def held_bytes(self) -> int:
        """See `Engine`: each session lays out a copy of its own."""
        return self._sessions.held_bytes

    def session(self, segment: TorchSegment | OnnxSegment, form: OnnxForm) -> OnnxSession:
        """The session of that slice: the one there is, or a new one."""
        key = SessionKey(segment.model.digest, segment.inputs, segment.outputs)
        return self._sessions.get(
            key,
            lambda: OnnxSession(form, segment.inputs, segment.outputs, threads=self.threads, device=self.device),
        )


@dataclass(frozen=True, slots=True)
class _OnnxRuntimeRunner:
    engine: OnnxRuntimeEngine
    segment: TorchSegment | OnnxSegment
    form: OnnxForm

    def session(self) -> OnnxSession:
        return self.engine.session(self.segment, self.form)

    def __call__(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return run_segment(self.engine.slowdown, self._run, tensors)

    def _run(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.session()(*tensors)
