"""What the client puts on the wire, and what it makes of what comes back."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from isthmus.oip import open_inference_pb2 as oip
from nodes.transport.oip_client import ClientInput, InferMessage, OipClient


@given(st.text(max_size=20), st.lists(st.binary(max_size=300) | st.integers(0, 1 << 22).map(bytes), max_size=4))
def test_a_message_is_what_protobuf_would_write(model: str, contents: list[bytes]) -> None:
    announced = oip.ModelInferRequest(model_name=model)
    announced.inputs.add(name="x", datatype="UINT8", shape=[1])
    whole = oip.ModelInferRequest()
    whole.CopyFrom(announced)
    whole.raw_input_contents.extend(contents)
    sent = InferMessage(announced, tuple(memoryview(one) for one in contents)).serialized()
    assert oip.ModelInferRequest.FromString(sent) == whole


async def test_a_bfloat16_answer_is_the_same_numbers_in_float32(address: str) -> None:
    x = np.array([[-4.0, 0.1, 1e38], [np.nan, -np.inf, 1e-40]], np.float32)
    client = OipClient(address)
    y = (await client.infer("double", [ClientInput("x", x)], {}, 10.0)).outputs["y"]
    await client.close()
    assert y.dtype == np.float32
    expected = (2 * torch.from_numpy(x)).to(torch.bfloat16).to(torch.float32).numpy()
    np.testing.assert_array_equal(y, expected)
