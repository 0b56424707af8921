"""A slice of an ONNX graph on onnxruntime: torch tensors in, torch tensors out."""

from __future__ import annotations

import onnxruntime
import torch

from isthmus.errors import InvalidModel
from partitioner.onnx_form import OnnxForm
from partitioner.onnx_providers import check_started, session_providers
from partitioner.onnx_slicing import OnnxSlice, slice_form

__all__ = ["OnnxSession", "offered_providers", "open_session", "session_options"]

# numpy, through which tensors reach onnxruntime, has no bfloat16.
_CARRIED = frozenset({"float32", "float16", "float64", "bool", "uint8", "int8", "int16", "int32", "int64"})
_SILENT = 4


class OnnxSession:
    """Takes the tensors `inputs`, returns the tuple of `outputs`. Safe to call from several threads.

    exact: op by op as the graph says, without fusing: cuts give the bits of the whole graph so run. Otherwise every
    optimisation is on, and results differ from another engine's in the last digits. device: "cpu" or "cuda"; tensors
    come and go on the host either way. The session holds its own copy of its weights (`weight_bytes`), which
    onnxruntime makes when it lays them out for its kernels. Raises InvalidModel when onnxruntime cannot run the graph,
    DeviceUnavailable when it has nothing for the device.
    """

    def __init__(
        self,
        form: OnnxForm,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        *,
        threads: int = 1,
        exact: bool = False,
        device: str = "cpu",
    ) -> None:
        _check_dtypes(form, (*inputs, *outputs))
        piece = slice_form(form, inputs, outputs)
        self._outputs, self._fed, self._passed, self._made = outputs, piece.fed, piece.passed, piece.made
        self._values = list(dict.fromkeys(piece.made.values()))
        self.weight_bytes = sum(form.weights[name].nbytes for name in piece.weights)
        options = session_options(threads, exact=exact)
        self._session = open_session(form, piece, options, device) if self._values else None

    def __call__(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The outputs, complete. onnxruntime's own errors pass through."""
        made: dict[str, torch.Tensor] = {}
        if self._session is not None:
            fed = {value: tensors[at].detach().cpu().numpy() for value, at in self._fed.items()}
            results = self._session.run(self._values, fed)
            made = {value: torch.from_numpy(array) for value, array in zip(self._values, results, strict=True)}
        return tuple(tensors[self._passed[n]] if n in self._passed else made[self._made[n]] for n in self._outputs)


def session_options(threads: int, *, exact: bool) -> onnxruntime.SessionOptions:
    """With every optimisation or none; threads sleep between calls instead of taking the core from others."""
    options, level = onnxruntime.SessionOptions(), onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_DISABLE_ALL if exact else level.ORT_ENABLE_ALL
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = _SILENT
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def offered_providers() -> tuple[str, ...]:
    """The execution providers that this onnxruntime was built with."""
    return tuple(onnxruntime.get_available_providers())


def open_session(
    form: OnnxForm, piece: OnnxSlice, options: onnxruntime.SessionOptions, device: str = "cpu"
) -> onnxruntime.InferenceSession:
    """A session of a slice, handed its weights. Raises InvalidModel when onnxruntime refuses it, DeviceUnavailable when
    it has nothing for the device."""
    providers = session_providers(device, offered_providers())
    handed = [onnxruntime.OrtValue.ortvalue_from_numpy(form.weights[name].numpy()) for name in piece.weights]
    options.add_external_initializers(list(piece.weights), handed)
    try:
        session = onnxruntime.InferenceSession(piece.model.SerializeToString(), options, providers=providers)
    except Exception as error:  # onnxruntime raises a dozen classes of its own
        problem = f"cannot run this graph: {' '.join(str(error).split())[:300]}"
        raise InvalidModel("onnxruntime", problem, remedy="export the model with a lower opset") from error
    check_started(providers, session.get_providers())
    return session


def _check_dtypes(form: OnnxForm, names: tuple[str, ...]) -> None:
    for name in names:
        dtype = form.graph.tensors[name].dtype
        if dtype not in _CARRIED:
            remedy = "use engine: eager for this model"
            raise InvalidModel(f"tensor {name!r}", f"is {dtype}, which onnxruntime cannot be given", remedy=remedy)
