"""The public Python API: load a model, measure, partition, and ask a running edge."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from isthmus.client import AsyncClient, Client, Result
from nodes.compute_pool import ComputePool
from nodes.engines.allocator import keep_freed_memory
from nodes.engines.factory import engine_for
from nodes.measure.device_profile import measure_device as _measure_device
from nodes.measure.device_profile import measure_model as _measure_model
from partitioner.cost_model import Costing
from partitioner.front_end import model_from_module
from partitioner.link import Link
from partitioner.model import Model, Segments
from partitioner.model_source import resolve_model
from partitioner.partition import Setting, partition_graph
from partitioner.plan import Plan
from partitioner.profiles import DeviceProfile
from partitioner.spec import ModelSpec

__all__ = [
    "AsyncClient",
    "Client",
    "Costing",
    "DeviceProfile",
    "Link",
    "Model",
    "ModelSpec",
    "Plan",
    "Result",
    "Segments",
    "load_model",
    "measure_device",
    "measure_model",
    "partition",
]


def load_model(source: str | Path | nn.Module | ModelSpec, example_inputs: tuple[torch.Tensor, ...] = ()) -> Model:
    """A model that can be cut.

    source: an artifact folder, a model file, `module:callable`, a ModelSpec, or an nn.Module. example_inputs: tensors,
    batch first, for an nn.Module, for a TorchScript file that was not traced, and for an ONNX file that leaves more
    open than the batch (a tensor without dimensions pins its input). Raises InvalidModel naming op or fault.
    """
    if isinstance(source, ModelSpec):
        return model_from_module(source)
    if isinstance(source, nn.Module):
        return model_from_module(source, example_inputs)
    return resolve_model(str(source), example_inputs=example_inputs)


def measure_device(
    budget_s: float = 5.0, device: str = "cpu", threads: int = 1, engine: str = "eager"
) -> DeviceProfile:
    """This device's peak rates, measured now; `engine` is what models are measured on. Raises DeviceUnavailable."""
    keep_freed_memory()
    with ComputePool(threads) as pool:
        return pool.run_blocking(_measure_device, budget_s, engine_for(engine, device, threads=threads))


def measure_model(model: Model, profile: DeviceProfile) -> DeviceProfile:
    """`profile` with this model's op times, measured now on this device and the profile's engine."""
    keep_freed_memory()
    with ComputePool(profile.threads) as pool:
        engine = engine_for(profile.engine, profile.device, threads=profile.threads)
        return pool.run_blocking(_measure_model, model, profile, engine)


def partition(
    model: Model,
    edge: DeviceProfile | str | Path,
    cloud: DeviceProfile | str | Path,
    link: Link,
    objective: str = "latency",
    costing: Costing | None = None,
) -> Plan:
    """The best plan of `model` for two devices and a link. Profiles may be given as files.

    costing: what is allowed (codecs, input form, privacy); tensors and lossless codecs without. Raises InfeasibleCut.
    """
    setting = Setting(_profile(edge), _profile(cloud), link, costing or Costing())
    return partition_graph(model, setting, objective)


def _profile(given: DeviceProfile | str | Path) -> DeviceProfile:
    return given if isinstance(given, DeviceProfile) else DeviceProfile.from_json(Path(given).read_text())
