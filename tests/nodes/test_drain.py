"""The end of an edge's drain: whoever has no answer by then is told, in time."""

from __future__ import annotations

import asyncio
import time

import pytest

from isthmus.errors import Draining
from nodes.compute_pool import ComputePool
from nodes.engines.eager import EagerEngine
from nodes.gateway import InferRequest, InferResult
from nodes.inputs import ModelInputs
from nodes.model_loading import measured_profile
from partitioner.profiles import DeviceProfile
from tests.nodes.sites import Cloud, eventually, inputs_of
from tests.nodes.test_version_skew import OLD, edge_with


@pytest.fixture(scope="module")
def measured() -> DeviceProfile:
    with ComputePool(1) as pool:
        return asyncio.run(measured_profile({"small": OLD}, EagerEngine(threads=1), pool))


async def test_what_is_not_answered_when_the_grace_ends_is_told_so(measured: DeviceProfile) -> None:
    cloud = await Cloud.start([OLD], "only")
    async with edge_with({"only": cloud}, measured) as node:
        cloud.engine.gate.shut()
        came = cloud.engine.gate.came

        async def ask(seed: int, timeout_s: float | None) -> InferResult:
            inputs = ModelInputs({OLD.graph.inputs[0]: inputs_of(seed)}, 1)
            return await node.infer(InferRequest("small", inputs, timeout_s, policy="fixed:split"))

        asked = [asyncio.create_task(ask(seed, timeout_s)) for seed, timeout_s in enumerate((None, None, 60.0))]
        await eventually(lambda: cloud.engine.gate.came > came and node.replicas.connections[0].in_flight == 3)
        began_s = time.monotonic()
        await node.drain(0.2)  # before any of them would go on elsewhere
        assert 0.15 < time.monotonic() - began_s < 5.0
        ends = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(end) for end in ends] == [Draining] * 3
        assert node.waiting == 0
        cloud.engine.gate.open()
