"""What the client puts on the wire."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from isthmus.oip import open_inference_pb2 as oip
from nodes.transport.oip_client import InferMessage


@given(st.text(max_size=20), st.lists(st.binary(max_size=300) | st.integers(0, 1 << 22).map(bytes), max_size=4))
def test_a_message_is_what_protobuf_would_write(model: str, contents: list[bytes]) -> None:
    announced = oip.ModelInferRequest(model_name=model)
    announced.inputs.add(name="x", datatype="UINT8", shape=[1])
    whole = oip.ModelInferRequest()
    whole.CopyFrom(announced)
    whole.raw_input_contents.extend(contents)
    sent = InferMessage(announced, tuple(memoryview(one) for one in contents)).serialized()
    assert oip.ModelInferRequest.FromString(sent) == whole
