"""What an answer holds, before it is written."""

from __future__ import annotations

import torch

from isthmus.oip import open_inference_pb2 as oip
from nodes.gateway import InferResult, StageTimings
from nodes.transport.infer_messages import answer_bytes
from partitioner.plan import Prediction

STAGES = StageTimings(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
OUTPUTS = (("y", torch.zeros(2, 50)), ("mask", torch.zeros(2, 1000)))
RESULT = InferResult(
    "r", OUTPUTS, "plan", STAGES, 10, "cloud", "test", Prediction(0.0, 0.0, 0.0, 0.0, 0.0), "split", "latency"
)


def asking(*names: str) -> oip.ModelInferRequest:
    request = oip.ModelInferRequest(model_name="m")
    for name in names:
        request.outputs.add(name=name)
    return request


def test_all_outputs_count_where_none_is_named() -> None:
    assert answer_bytes(asking(), RESULT) == 400 + 8000


def test_only_those_asked_for_count() -> None:
    assert answer_bytes(asking("y"), RESULT) == 400


def test_of_classes_their_number_counts() -> None:
    request = asking("mask")
    request.outputs[0].parameters["classification"].int64_param = 3
    assert answer_bytes(request, RESULT) == 2 * 3 * len(b"\5\0\0\0nan:0")
