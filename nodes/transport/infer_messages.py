"""An inference message as a checked request, and a result as its answer's message."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping

from isthmus.errors import InvalidRequest, NotFound, shortened
from isthmus.oip import open_inference_pb2 as oip
from nodes.gateway import InferRequest, InferResult, ModelDescription
from nodes.limits import NodeLimits
from nodes.request_inputs import check_inputs
from nodes.transport.caller import Caller
from nodes.transport.classification import class_count, least_bytes, write_classes
from nodes.transport.name_lengths import check_id, check_name
from nodes.transport.oip_messages import (
    MAX_DIMENSIONS,
    ParameterValue,
    parameter_values,
    read_inputs,
    set_parameters,
    write_output,
)

__all__ = ["answer_bytes", "check_version", "read_request", "write_response", "writes_long"]

# Parameters of extensions that are not there. They would change what the answer is or where it goes: not to be ignored.
_UNSUPPORTED = {
    "sequence_id": "no model here keeps state between requests",
    "shared_memory_region": "tensors travel in messages",
}
_LONGEST_TIMEOUT_S = 1e7
# Of one kind in a message, where a model has no more.
_MOST_PARTS = 64
# Of an answer with classes: some 7,000 of them, which are sorted and made text one by one in 8 ms.
_CLASSES_AT_ONCE_BYTES = 64 << 10
_LAST_PRIORITY = (1 << 32) - 1  # what the segment stream has room for


def read_request(
    described: ModelDescription,
    message: oip.ModelInferRequest,
    grpc_remaining_s: float | None,
    limits: NodeLimits,
    caller: Caller,
    request_id: str = "",
) -> InferRequest:
    """The request for that model that a message is. grpc_remaining_s: until the call's own deadline, None without one.
    request_id: see InferRequest.

    Raises NotFound, InvalidRequest and TooLarge naming the field.
    """
    _check_counts(message, described)
    check_id(message.id)
    check_version(described, message.model_version)
    _check_outputs(message, described)
    for tensor in message.inputs:
        if tensor.parameters:
            _check_supported(f"input {tensor.name}, parameter", tensor.parameters)
        if tensor.datatype == "BYTES":
            _check_files(tensor, described)
    timeout_s = _bounded_s(grpc_remaining_s)
    inputs = check_inputs(described, read_inputs(message, limits), limits)
    if not message.parameters:  # as from most clients
        return InferRequest(described.name, inputs, timeout_s, client=caller.client(""), request_id=request_id)
    _check_supported("parameter", message.parameters)
    parameters = parameter_values(message.parameters)
    if asked_s := _bounded_s(_integer(parameters, "timeout") * 1e-6):
        timeout_s = min(asked_s, math.inf if timeout_s is None else timeout_s)
    return InferRequest(
        model=described.name,
        inputs=inputs,
        timeout_s=timeout_s,
        priority=_priority(parameters),
        policy=_text(parameters, "isthmus_policy"),
        plan_id=_text(parameters, "isthmus_plan"),
        request_class=_text(parameters, "isthmus_class"),
        client=caller.client(_text(parameters, "isthmus_client")),
        request_id=request_id,
    )


def _bounded_s(timeout_s: float | None) -> float | None:
    """A deadline years away is gRPC's way to say "none", and a client's; the stream's field holds no such numbers."""
    return timeout_s if timeout_s is not None and timeout_s < _LONGEST_TIMEOUT_S else None


def check_version(described: ModelDescription, asked: str) -> None:
    """Raises NotFound for another version than the one served; "" asks for any."""
    if asked not in ("", described.version):
        raise NotFound(f"model {described.name} has no version {asked!r}; version {described.version!r} is served")


def _check_counts(message: oip.ModelInferRequest, described: ModelDescription) -> None:
    """Before anything is looked at one by one: a message has room for millions of empty parts, which takes seconds."""
    parts = (
        ("inputs", message.inputs, len(described.inputs)),
        ("raw_input_contents", message.raw_input_contents, len(described.inputs)),
        ("outputs", message.outputs, len(described.outputs)),
        ("parameters", message.parameters, 0),
    )
    # Looked at when the tensors are known to be few.
    tensors = (tensor for given in (message.inputs, message.outputs) for tensor in given)
    of_tensors = ((f"parameters of {shortened(one.name)}", one.parameters, 0) for one in tensors)
    for field, given, known in itertools.chain(parts, of_tensors):
        most = max(_MOST_PARTS, known)
        if len(given) > most:
            remedy = "send what the model takes, each once"
            raise InvalidRequest(field, f"may be {most} at most", value=len(given), remedy=remedy)


def _check_outputs(message: oip.ModelInferRequest, described: ModelDescription) -> None:
    for output in message.outputs:
        names = [tensor.name for tensor in described.outputs]
        if output.name not in names:
            raise InvalidRequest(
                f"output {output.name}", f"model {message.model_name} has no such output", remedy=f"ask for {names}"
            )
        _check_supported(f"output {output.name}, parameter", output.parameters)
        class_count(output)


def _check_files(tensor: oip.ModelInferRequest.InferInputTensor, described: ModelDescription) -> None:
    """Before they are taken apart: a message has room for millions of empty ones, which takes seconds."""
    most, shape = described.max_batch, tensor.shape
    if len(shape) <= MAX_DIMENSIONS and math.prod(shape) > most:  # more dimensions are refused before that, too
        problem = f"takes one image file an item, of {most} items at most"
        raise InvalidRequest(f"input {tensor.name}", problem, value=math.prod(shape), remedy="split the request")


def _check_supported(field: str, names: Iterable[str]) -> None:
    for name in names:
        if name in _UNSUPPORTED:
            raise InvalidRequest(f"{field} {name}", f"is not supported: {_UNSUPPORTED[name]}", remedy="leave it out")


def _integer(parameters: Mapping[str, ParameterValue], name: str) -> int:
    value = parameters.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidRequest(f"parameter {name}", "must be an integer of zero or more", value=value)
    return value


def _priority(parameters: Mapping[str, ParameterValue]) -> int:
    value = _integer(parameters, "priority")
    if value > _LAST_PRIORITY:
        raise InvalidRequest(
            "parameter priority",
            f"must be at most {_LAST_PRIORITY}",
            value=value,
            remedy="1 is first; leave it out to be last",
        )
    return value


def _text(parameters: Mapping[str, ParameterValue], name: str) -> str:
    value = parameters.get(name, "")
    if not isinstance(value, str):
        raise InvalidRequest(f"parameter {name}", "must be a string", value=value)
    check_name(f"parameter {name}", value)
    return value


def answer_bytes(message: oip.ModelInferRequest, result: InferResult) -> int:
    """What the outputs take in the answer to `message`, before it is written; of classes, what they take at least."""
    if not message.outputs:
        return sum(tensor.nbytes for _, tensor in result.outputs)
    classes = {output.name: class_count(output) for output in message.outputs}
    return sum(
        least_bytes(tensor, classes[name]) if classes[name] else tensor.nbytes
        for name, tensor in result.outputs
        if name in classes
    )


def writes_long(message: oip.ModelInferRequest, size_bytes: int) -> bool:
    """Whether the answer may have so many classes that writing them keeps whoever does it for long. size_bytes: see
    `answer_bytes`."""
    return size_bytes > _CLASSES_AT_ONCE_BYTES and any(class_count(output) for output in message.outputs)


def write_response(
    message: oip.ModelInferRequest, result: InferResult, described: ModelDescription
) -> oip.ModelInferResponse:
    """The answer to `message`: the outputs it asked for, or all of them, and what became of the request."""
    response = oip.ModelInferResponse(model_name=described.name, model_version=described.version, id=message.id)
    if message.outputs:
        _write_asked(response, message, result, described)
    else:
        for name, tensor in result.outputs:
            write_output(response, name, tensor)
    set_parameters(response, _told(result))
    return response


def _write_asked(
    response: oip.ModelInferResponse, message: oip.ModelInferRequest, result: InferResult, described: ModelDescription
) -> None:
    classes = {output.name: class_count(output) for output in message.outputs}
    labels = {tensor.name: tensor.labels for tensor in described.outputs}
    for name, tensor in result.outputs:
        if classes.get(name):
            write_classes(response, name, tensor, classes[name], labels[name])
        elif name in classes:
            write_output(response, name, tensor)


def _told(result: InferResult) -> dict[str, ParameterValue]:
    timings, predicted = result.timings, result.predicted
    return {
        "isthmus_request_id": result.request_id,
        "isthmus_plan": result.plan_id,
        "isthmus_edge_ms": timings.edge_s * 1e3,
        "isthmus_edge_queue_ms": timings.edge_queue_s * 1e3,
        "isthmus_uplink_ms": timings.uplink_s * 1e3,
        "isthmus_cloud_ms": timings.cloud_s * 1e3,
        "isthmus_cloud_queue_ms": timings.cloud_queue_s * 1e3,
        "isthmus_downlink_ms": timings.downlink_s * 1e3,
        "isthmus_wire_bytes": result.wire_bytes,
        "isthmus_finished_by": result.finished_by,
        "isthmus_reason": result.reason,
        "isthmus_predicted_ms": predicted.total_s * 1e3,
        "isthmus_predicted_edge_ms": predicted.edge_s * 1e3,
        "isthmus_predicted_uplink_ms": predicted.uplink_s * 1e3,
        "isthmus_predicted_cloud_ms": predicted.cloud_s * 1e3,
        "isthmus_predicted_downlink_ms": predicted.downlink_s * 1e3,
        "isthmus_predicted_overhead_ms": predicted.overhead_s * 1e3,
    }
