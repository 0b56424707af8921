"""onnxruntime with every optimisation on: the fast engine on CPUs; on a GPU where it was built for one.

Measured against eager in one run (1 thread, batch 1): 0.42 of its time on efficientnet-lite0, 0.76 on MiniLM. Its
results differ from eager's in the last digits; a plan on it records by how much.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from isthmus.errors import InvalidModel
from nodes.engines.base import Runnable, Runner
from nodes.engines.mapped_weights import MappedWeights
from nodes.engines.recently_used import RecentlyUsed
from nodes.engines.running import check_threads, run_segment
from nodes.engines.slowdown import check_slowdown
from partitioner.onnx_form import OnnxForm
from partitioner.onnx_model import OnnxSegment
from partitioner.onnx_providers import session_providers
from partitioner.onnx_session import OnnxSession, offered_providers
from partitioner.onnx_weight_file import WeightFile
from partitioner.torch_model import TorchSegment

__all__ = ["OnnxRuntimeEngine"]

# Whoever measures each half once drops a session once.
_OFTEN = 2


@dataclass(frozen=True, slots=True)
class _Slice:
    model_digest: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class OnnxRuntimeEngine:
    """Runs slices of a model's ONNX form; a torch model is exported to it once, when its first segment is loaded.

    On a CPU sessions map the weights from one file, and copy those that their kernels want laid out anew. threads: of
    one session's run; they never spin. slowdown: emulated, 1 for none. session_bytes: of such copies in all sessions
    together; the least recently used one goes first, and is made anew (0.05 to 0.4 s), with fewer copies, when it is
    needed again. device: "cpu" or "cuda". folder: for the weights, private to this user. Raises InvalidConfiguration
    for a slowdown below 1 or no threads, DeviceUnavailable where onnxruntime offers nothing for the device.
    """

    name = "onnxruntime"

    def __init__(
        self,
        threads: int = 1,
        slowdown: float = 1.0,
        session_bytes: int = 512 << 20,
        device: str = "cpu",
        folder: Path | None = None,
    ) -> None:
        session_providers(device, offered_providers())  # what is not there is refused now, not with the first segment
        self.device = device
        self.threads, self.slowdown = check_threads(threads), check_slowdown(slowdown)
        self._sessions = RecentlyUsed[_Slice, OnnxSession](session_bytes, lambda session: session.weight_bytes)
        self._weights = MappedWeights(folder)

    def prepare(self, segments: Iterable[Runnable]) -> float:
        """See `Engine`: sessions are made in less than a second, when they are needed; a torch model's export and the
        file of its weights take seconds, once."""
        for segment in segments:
            if isinstance(segment, TorchSegment | OnnxSegment):
                self._mapped(segment.model.digest, segment.model.onnx_form)
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
        """See `Engine`: what sessions lay out is a copy of their own."""
        return self._sessions.size

    def session(self, segment: TorchSegment | OnnxSegment, form: OnnxForm) -> OnnxSession:
        """The session of that slice: the one there is, or a new one. One that had to go again and again, as there is no
        room for all, comes back holding little: halves of a large model would else drop each other for ever."""
        key = _Slice(segment.model.digest, segment.inputs, segment.outputs)
        packed = self._sessions.gone(key) < _OFTEN
        return self._sessions.get(key, lambda: self._made(key, form, packed))

    def _mapped(self, model_digest: str, form: OnnxForm) -> WeightFile | None:
        return self._weights.of(model_digest, form) if self.device == "cpu" else None

    def _made(self, piece: _Slice, form: OnnxForm, packed: bool) -> OnnxSession:
        made = partial(OnnxSession, form, piece.inputs, piece.outputs, threads=self.threads, device=self.device)
        mapped = self._mapped(piece.model_digest, form)
        try:
            return made(mapped=mapped, packed=packed)
        except InvalidModel:
            if mapped is None or mapped.is_there:
                raise
            return made(packed=packed)  # another process has made room in between


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
