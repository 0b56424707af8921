"""What a peer's server runs: the whole model from the artifact that Isthmus's replicas load, on the same engine."""

from __future__ import annotations

import torch

from isthmus.oip import open_inference_pb2 as oip
from nodes.codecs.layout import tensor_over
from nodes.engines.allocator import keep_freed_memory
from nodes.engines.eager import EagerEngine
from nodes.preprocessing import ImageBatch, preprocess
from nodes.transport.oip_messages import split_bytes_elements, write_output
from partitioner.artifact import load_artifact

__all__ = ["WholeModel"]


class WholeModel:
    """The model of one picture, eager, on one thread, with memory kept as a node keeps it."""

    def __init__(self, artifact: str) -> None:
        """artifact: its folder."""
        keep_freed_memory()
        torch.set_num_threads(1)
        model = load_artifact(artifact)
        preprocessing = model.interface.inputs[0].preprocessing
        assert preprocessing is not None, "the benchmark's model takes pictures"
        self._name, self._preprocessing = model.name, preprocessing
        self._run = EagerEngine().load(model.whole)
        self.of_tensor(torch.zeros(1, 3, preprocessing.height, preprocessing.width))

    def of_tensor(self, image: torch.Tensor) -> torch.Tensor:
        """The logits of a picture that is preprocessed."""
        return self._run(image)[0]

    def of_file(self, file: bytes) -> torch.Tensor:
        """The logits of an encoded picture."""
        return self.of_tensor(preprocess(ImageBatch((file,)), self._preprocessing))

    def answer(self, request: oip.ModelInferRequest) -> oip.ModelInferResponse:
        """One Open Inference Protocol request: its input is one encoded file (BYTES) or a tensor (FP32)."""
        (given,), (raw,) = request.inputs, request.raw_input_contents
        if given.datatype == "BYTES":
            logits = self.of_file(split_bytes_elements(raw, given.name)[0])
        else:
            logits = self.of_tensor(tensor_over(raw, torch.float32).reshape(tuple(given.shape)))
        response = oip.ModelInferResponse(model_name=self._name, id=request.id)
        write_output(response, "logits", logits)
        return response
