"""The public Python API: load a model, measure, partition, and ask a running edge."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from isthmus.client import AsyncClient, Client, Result
from isthmus.planning import Planner
from isthmus.profile_file import read_profile
from nodes.compute_pool import ComputePool
from nodes.engines.allocator import keep_freed_memory
from nodes.engines.factory import engine_for
from nodes.measure.device_profile import measure_device as _measure_device
from nodes.measure.lossless_sizes import with_lossless_sizes
from nodes.measure.model_session import measure_model_within
from nodes.tls_files import TlsFiles
from partitioner.condition import Condition
from partitioner.constraints import Constraints
from partitioner.cost_model import Costing
from partitioner.front_end import model_from_module
from partitioner.frontier import Frontier
from partitioner.link import Link
from partitioner.model import Model, Segments
from partitioner.model_source import resolve_model
from partitioner.plan import Plan
from partitioner.profiles import DeviceProfile
from partitioner.setting import Setting
from partitioner.spec import ModelSpec
from partitioner.throughput_frontier import ThroughputFrontier

__all__ = [
    "AsyncClient",
    "Client",
    "Condition",
    "Constraints",
    "Costing",
    "DeviceProfile",
    "Frontier",
    "Link",
    "Model",
    "ModelSpec",
    "Plan",
    "Result",
    "Segments",
    "ThroughputFrontier",
    "TlsFiles",
    "frontier",
    "load_model",
    "measure_device",
    "measure_model",
    "partition",
    "throughput_frontier",
]

_EQUAL_LINK = Link(1e6, 1e6, 0.0)


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


def measure_model(
    model: Model, profile: DeviceProfile, budget_s: float = 5.0, against: DeviceProfile | None = None
) -> DeviceProfile:
    """`profile` with what the budget allows of this model, measured now on this device and the profile's engine: op
    times, memory, whole halves at a few cuts, larger batches. `profile.provenance.left_out` names the rest.

    against: a profile of the other side; after the halves at a few cuts the budget goes to both halves at each cut of
    the exact frontier between the two, whichever is the edge.
    """
    keep_freed_memory()
    with ComputePool(profile.threads) as pool:
        engine = engine_for(profile.engine, profile.device, threads=profile.threads)
        return pool.run_blocking(measure_model_within, model, profile, engine, budget_s, against)


def partition(
    model: Model,
    edge: DeviceProfile | str | Path,
    cloud: DeviceProfile | str | Path,
    link: Link,
    objective: str | Mapping[str, float] = "latency",
    costing: Costing | None = None,
) -> Plan:
    """The best plan of `model` for two devices and a link. Profiles may be given as files.

    objective: "latency", "throughput", "energy", "cost", or a weighted sum of them.
    costing: what is allowed (codecs, input form, privacy, constraints); tensors and lossless codecs without. What
    lossless codecs make of its tensors is measured on the model's calibration inputs, where it has any and `costing`
    states no codecs: a second or two for an image model, once for a model.
    Throughput, alone or in a sum, and budgets are searched for ten seconds at most; the plan's provenance says how far
    it may be from the best. Raises InfeasibleCut, InvalidProfile.
    """
    return Planner(model, _setting(model, (edge, cloud), link, costing)).best(objective).plan


def frontier(
    model: Model,
    edge: DeviceProfile | str | Path,
    cloud: DeviceProfile | str | Path,
    link: Link | None = None,
    costing: Costing | None = None,
) -> Frontier:
    """Every plan of `model` that is the best for some loads, bandwidth and round trip. Profiles may be given as files.

    link: only the ratio of its two bandwidths counts; equal without one. costing: as for `partition`, its loads left
    out. Limits of memory and wire bytes are searched for about ten seconds; `gap` says how far these plans may be
    from the best. Raises InfeasibleCut, InvalidProfile.
    """
    return Planner(model, _setting(model, (edge, cloud), link, costing)).frontier


def throughput_frontier(
    model: Model,
    edge: DeviceProfile | str | Path,
    cloud: DeviceProfile | str | Path,
    link: Link | None = None,
    costing: Costing | None = None,
) -> ThroughputFrontier:
    """At every bandwidth, the plan of `model` whose slowest stage is the quickest, each stage busy with a request of
    its own. Profiles may be given as files.

    link: only the ratio of its two bandwidths counts; equal without one. costing: as for `partition`. Searched for ten
    seconds at most; `gap` says how far it may be from the best. Raises InfeasibleCut, InvalidProfile.
    """
    return Planner(model, _setting(model, (edge, cloud), link, costing)).throughput_frontier()


def _setting(
    model: Model,
    devices: tuple[DeviceProfile | str | Path, DeviceProfile | str | Path],
    link: Link | None,
    costing: Costing | None,
) -> Setting:
    edge, cloud = map(_profile, devices)
    return Setting(edge, cloud, link or _EQUAL_LINK, with_lossless_sizes(costing or Costing(), model))


def _profile(given: DeviceProfile | str | Path) -> DeviceProfile:
    return given if isinstance(given, DeviceProfile) else read_profile(Path(given))
