"""A slice of an ONNX graph on onnxruntime: torch tensors in, torch tensors out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from onnx import helper

from isthmus.errors import InvalidModel, InvalidRequest
from partitioner.graph import Dimension
from partitioner.onnx_form import ELEMENT_TYPES, OnnxForm, reads
from partitioner.onnx_providers import check_started, session_providers
from partitioner.onnx_slicing import OnnxSlice, slice_form
from partitioner.onnx_weight_file import WeightFile
from partitioner.onnx_windows import moving_windows
from partitioner.pseudo_names import RESERVED

__all__ = ["OnnxSession", "offered_providers", "open_session", "session_options"]

# numpy, through which tensors reach onnxruntime, has no bfloat16.
_CARRIED = ELEMENT_TYPES.keys() - {"bfloat16"}
_SILENT = 4
_FOLDER_ENTRY = "session.model_external_initializers_file_folder_path"


class OnnxSession:
    """Takes the tensors `inputs`, returns the tuple of `outputs`. Safe to call from several threads.

    threads: as many as it runs with, for good. exact: op by op as the graph says, without fusing: cuts give the bits of
    the whole graph so run. Otherwise every optimisation is on, and results differ from another engine's in the last
    digits. device: "cpu" or "cuda"; tensors come and go on the host either way.

    mapped: the form's weights as a file. Without it, the session holds a copy of all of its weights (`weight_bytes`).
    With it, only of those that onnxruntime lays out for its kernels: not of tables, and, where `packed` is false, not
    of what products read as it stands. Products of packed weights take less time where they have several rows. Raises
    InvalidModel when onnxruntime cannot run the graph, DeviceUnavailable when it has nothing for the device.
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
        mapped: WeightFile | None = None,
        packed: bool = True,
    ) -> None:
        _check_dtypes(form, (*inputs, *outputs))
        piece = slice_form(form, inputs, outputs)
        self._outputs, self._fed, self._passed, self._made = outputs, piece.fed, piece.passed, piece.made
        self._windows = _shown_windows(form, piece.model.graph)
        self._values = list(dict.fromkeys((*piece.made.values(), *(shown for _, shown, _ in self._windows))))
        self.threads = threads
        held = piece.weights if mapped is None else _laid_out(piece, packed=packed)
        self.weight_bytes = sum(form.weights[name].nbytes for name in held)
        options = session_options(threads, exact=exact)
        options.add_session_config_entry("session.disable_prepacking", str(int(not packed)))
        self._session = open_session(form, piece, options, device, mapped) if self._values else None

    def __call__(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The outputs, complete. Raises InvalidRequest naming the op where the data places a window outside of what it
        is cut out of. onnxruntime's own errors pass through."""
        made: dict[str, torch.Tensor] = {}
        if self._session is not None:
            fed = {value: tensors[at].detach().cpu().numpy() for value, at in self._fed.items()}
            results = self._session.run(self._values, fed)
            made = {value: _tensor(array) for value, array in zip(self._values, results, strict=True)}
            self._check_windows(made)
        return tuple(tensors[self._passed[n]] if n in self._passed else made[self._made[n]] for n in self._outputs)

    def _check_windows(self, made: Mapping[str, torch.Tensor]) -> None:
        for node, shown, shape in self._windows:
            found = made[shown].tolist()
            if any(not d.per_item and d.fixed != size for d, size in zip(shape, found, strict=True)):
                problem = f"places its window outside of what it is cut out of, which leaves {node.output[0]!r} short"
                remedy = "send inputs that keep it inside"
                raise InvalidRequest(f"op {node.name!r} (Slice)", problem, value=found, remedy=remedy)


def _shown_windows(form: OnnxForm, graph: onnx.GraphProto) -> list[tuple[onnx.NodeProto, str, tuple[Dimension, ...]]]:
    """The windows of a slice that the data places, each with the sizes that it is to have and the name under which the
    slice now tells those that it has."""
    inside, shown = {node.name for node in graph.node}, []
    for node in moving_windows(form.model, form.weights):
        (cut_out,) = node.output
        if node.name in inside and cut_out in form.shapes:
            name = f"{RESERVED}sizes/{cut_out}"
            graph.node.append(helper.make_node("Shape", [cut_out], [name]))
            graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.INT64, None))
            shown.append((node, name, form.shapes[cut_out]))
    return shown


def _laid_out(piece: OnnxSlice, *, packed: bool) -> set[str]:
    """The weights that onnxruntime copies though they are mapped: all that anything else reads than these."""
    spared = {"Gather"} if packed else {"Gather", "Gemm", "MatMul"}
    return set(piece.weights) & {
        name for node in piece.model.graph.node if node.op_type not in spared for name in reads(node)
    }


def _tensor(array: npt.NDArray[np.generic]) -> torch.Tensor:
    # torch does not know C's unsigned long long, as which onnxruntime hands out uint64, for the same type.
    return torch.from_numpy(array.view(np.uint64) if array.dtype == np.uint64 else array)


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
    form: OnnxForm,
    piece: OnnxSlice,
    options: onnxruntime.SessionOptions,
    device: str = "cpu",
    mapped: WeightFile | None = None,
) -> onnxruntime.InferenceSession:
    """A session of a slice, handed its weights or told the file they are mapped from. Raises InvalidModel when
    onnxruntime refuses it, DeviceUnavailable when it has nothing for the device."""
    providers = session_providers(device, offered_providers())
    if mapped is None:
        handed = [onnxruntime.OrtValue.ortvalue_from_numpy(form.weights[name].numpy()) for name in piece.weights]
        options.add_external_initializers(list(piece.weights), handed)
    else:
        mapped.point(piece.model.graph, form.weights)
        options.add_session_config_entry(_FOLDER_ENTRY, str(mapped.path.parent))
    try:
        again = int(device != "cpu")  # elsewhere onnxruntime tries, and prints of it
        session = onnxruntime.InferenceSession(
            piece.model.SerializeToString(), options, providers=providers, enable_fallback=again
        )
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
