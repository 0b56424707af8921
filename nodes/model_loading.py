"""Loads a node's models from their artifacts and measures the device with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from isthmus.errors import InvalidConfiguration
from nodes.codecs.transform import TransformCodec
from nodes.compute_pool import ComputePool
from nodes.engines.base import Engine
from nodes.engines.factory import EXACT_ENGINES
from nodes.measure.device_profile import measure_device, measure_model
from nodes.measure.engine_difference import measure_whole_difference
from nodes.settings import COMPILING_ENGINES, ModelArtifact
from partitioner.artifact import load_artifact
from partitioner.codec_choice import DEFAULT_CODECS
from partitioner.model import Model
from partitioner.profiles import DeviceProfile

__all__ = ["load_model", "load_models", "measured_profile", "with_differences", "with_op_times"]

DEVICE_BUDGET_S, MODEL_BUDGET_S = 1.0, 1.0
FEW_ITEMS = 16  # efficientnet-lite0 takes two seconds of one core for them
# A node's rates decide which cuts are worth measuring (`PlanBuilder.candidates`): no pictures; of learned codecs, one.
RATED_CODECS = (*(size.codec for size in DEFAULT_CODECS if size.applies_to != "picture"), TransformCodec.name)


def load_models(artifacts: Sequence[ModelArtifact]) -> dict[str, Model]:
    """The models by the name they are served under. Raises InvalidModel, InvalidConfiguration for a name used twice."""
    models: dict[str, Model] = {}
    for artifact in artifacts:
        if artifact.name in models:
            raise InvalidConfiguration("models.name", "is used twice", value=artifact.name)
        models[artifact.name] = load_model(artifact)
    return models


def load_model(artifact: ModelArtifact) -> Model:
    """One model, under the name that it is served under. Raises InvalidModel."""
    model = load_artifact(artifact.path)
    return model if model.name == artifact.name else model.renamed(artifact.name)


async def measured_profile(models: Mapping[str, Model], engine: Engine, pool: ComputePool) -> DeviceProfile:
    """This device, with the op times of every model. Measured under the thread budget that serving has."""
    profile = await pool.run(measure_device, DEVICE_BUDGET_S, engine, RATED_CODECS)
    for model in models.values():
        profile = await with_op_times(profile, model, engine, pool)
    return profile


async def with_op_times(profile: DeviceProfile, model: Model, engine: Engine, pool: ComputePool) -> DeviceProfile:
    """`profile` with the op times of one more model."""
    return await pool.run(measure_model, model, profile, engine, budget_s=MODEL_BUDGET_S)


async def with_differences(
    profile: DeviceProfile, models: Mapping[str, Model], engine: Engine, pool: ComputePool
) -> DeviceProfile:
    """`profile` with how far `engine` is from eager on every model, unless it is exact.

    On a few calibration inputs; what is compiled here on all of them: edges go by it, who measure other engines
    themselves.
    """
    if engine.name not in EXACT_ENGINES:
        most_items = None if engine.name in COMPILING_ENGINES else FEW_ITEMS
        for model in models.values():
            difference = await pool.run(measure_whole_difference, model, engine, most_items)
            profile = profile.with_engine_difference(model.digest, difference)
    return profile
