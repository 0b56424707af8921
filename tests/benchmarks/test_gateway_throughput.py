"""What the gateway's figure compares answers alike, and is asked as often as it says."""

from __future__ import annotations

import asyncio

from benchmarks.gateway_throughput import WIDTH, Clients, request
from benchmarks.raw_gateway import gateway_alone, raw_gateway
from nodes.gateway import ModelDescription, TensorDescription
from nodes.transport.oip_messages import parameter_values

TENSORS = (TensorDescription("input", "float32", (-1, WIDTH)),)


def test_the_baseline_answers_what_the_gateway_answers() -> None:
    described = ModelDescription("nothing", "0", TENSORS, TENSORS, 64)

    async def compare() -> None:
        with gateway_alone(described, "because") as front:
            ours = Clients(front.address, front.pid, request())
            assert await ours.cpu_s_per_request(2, 8) > 0
            said = await ours.answer()
            with raw_gateway(said.model_version, parameter_values(said.parameters)) as raw:
                baseline = Clients(raw.address, raw.pid, request())
                await baseline.cpu_s_per_request(1, 1)
                theirs = await baseline.answer()
        said.outputs[0].name = theirs.outputs[0].name
        assert said == theirs
        assert len(ours.rates[2]) == 1

    asyncio.run(compare())
