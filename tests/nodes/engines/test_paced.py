"""The paced engine: eager's bits at a profile's times."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from isthmus.errors import InvalidConfiguration
from nodes.compute_pool import ComputePool
from nodes.engines.eager import EagerEngine
from nodes.engines.paced import PacedEngine, ops_between
from nodes.measure.device_profile import measure_device, measure_model
from partitioner.profiles import DeviceProfile
from partitioner.scaled_profile import slowed_profile
from tests.nodes.sites import inputs_of, small_model

MODEL = small_model()
OPS = tuple(op.name for op in MODEL.graph.ops)


@pytest.fixture(scope="module")
def profile() -> DeviceProfile:
    """This device, so much slower that the model takes 40 ms."""
    engine = EagerEngine(threads=1)
    with ComputePool(1) as pool:
        made = pool.run_blocking(measure_device, 0.1, engine, ("raw",))
        made = pool.run_blocking(measure_model, MODEL, made, engine, budget_s=0.1)
    whole_s = sum(made.op_seconds(MODEL.graph, MODEL.digest, 1).values())
    return slowed_profile(made, 0.04 / whole_s)


def took_s(engine: PacedEngine, batch: int = 1) -> float:
    run, started_s = engine.load(MODEL.whole), time.perf_counter()
    run(inputs_of(0, batch))
    return time.perf_counter() - started_s


def test_outputs_are_eagers_bit_for_bit(profile: DeviceProfile) -> None:
    for segment in (MODEL.whole, MODEL.split(OPS[:2]).cloud):
        value = inputs_of(1) if segment is MODEL.whole else MODEL.split(OPS[:2]).prefix(inputs_of(1))[0]
        (paced,), (exact,) = (one.load(segment)(value) for one in (PacedEngine(profile), EagerEngine()))
        assert torch.equal(paced, exact)


def test_a_run_takes_no_less_than_its_ops_in_the_profile(profile: DeviceProfile) -> None:
    engine = PacedEngine(profile)
    assert took_s(engine) >= 0.0399
    of_eight_s = sum(profile.op_seconds(MODEL.graph, MODEL.digest, 8).values())
    assert of_eight_s > 0.0401
    assert took_s(engine, 8) >= 0.999 * of_eight_s


def test_the_two_segments_of_a_cut_share_its_ops() -> None:
    for count in range(len(OPS) + 1):
        segments = MODEL.split(OPS[:count])
        crossing = (*segments.boundary, *segments.kept)
        prefix = ops_between(MODEL.graph, MODEL.graph.inputs, crossing)
        suffix = ops_between(MODEL.graph, segments.boundary, segments.returned)
        assert (prefix, suffix) == (frozenset(OPS[:count]), frozenset(OPS[count:]))


def test_a_profile_without_the_model_is_refused(profile: DeviceProfile, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="has no times of small"):
        PacedEngine(profile).load(small_model(1).whole)
    with pytest.raises(InvalidConfiguration, match=r"cloud\.paced_by: cannot be read"):
        PacedEngine.reading(str(tmp_path / "none.json"))
