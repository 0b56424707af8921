"""Makes device profiles: what this machine does per second, and how long the ops of a model take on it."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Collection
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal, cast

import torch

from nodes.engines.allocator import allocator_state
from nodes.engines.base import Engine
from nodes.measure.codec_rates import RATED_CODEC_NAMES, measure_codec_rates, measure_preprocessing
from nodes.measure.op_times import measure_op_times
from nodes.measure.power import POWERCAP, power_meter, with_power
from nodes.measure.roofline import measure_roofline
from nodes.measure.timing import is_noisy
from partitioner.measurements import Provenance, Taken
from partitioner.model import Model
from partitioner.profiles import DeviceProfile
from partitioner.scaled_profile import slowed_profile

__all__ = ["device_name", "measure_device", "measure_model"]


def measure_device(
    budget_s: float, engine: Engine, codecs: Collection[str] = RATED_CODEC_NAMES, powercap: Path = POWERCAP
) -> DeviceProfile:
    """Roofline, codec rates and preprocessing of this machine on `engine`'s device, in about `budget_s` seconds, and
    its power during the first, where it can be read; not of a device that is emulated.

    codecs: those to time; with fewer it takes so much less. powercap: see `power_meter`.
    Runs on the calling thread and under its thread budget: call it in a `ComputePool` of `engine.threads`. Everything
    includes the engine's emulated slowdown. The profile is flagged noisy when repeats disagree or the machine is busy.
    """
    load = os.getloadavg()[0]
    meter = power_meter(engine.device, powercap) if engine.slowdown == 1.0 else None
    roofline, power = with_power(meter, partial(measure_roofline, engine.device), 0.5 * budget_s)
    rates = measure_codec_rates(0.35 * budget_s, codecs)
    preprocessing = measure_preprocessing(0.15 * budget_s)
    measured = DeviceProfile(
        device=cast(Literal["cpu", "cuda"], engine.device),
        name=device_name(engine.device),
        threads=engine.threads,
        slowdown=1.0,
        flops_per_s=roofline.flops_per_s,
        memory_bytes_per_s=roofline.memory_bytes_per_s,
        op_overhead_s=roofline.op_overhead_s,
        codec_rates=rates,
        provenance=_provenance(load, roofline.noisy),
        preprocessing_s_per_pixel=preprocessing.per_item_s,
        preprocessing_fixed_s=preprocessing.fixed_s,
        engine=engine.name,
        kind_flops_per_s=roofline.kind_flops_per_s,
        power=power,
    )
    return slowed_profile(measured, engine.slowdown)


def measure_model(
    model: Model, profile: DeviceProfile, engine: Engine, *, batch: int = 1, budget_s: float = 2.0
) -> DeviceProfile:
    """`profile` with the op times of `model` on this machine merged in, with when that was, and whether the machine was
    busy or the whole run's repeats disagree. Runs on the calling thread, as `measure_device` does.
    """
    busy = _is_busy(os.getloadavg()[0])
    times = measure_op_times(model, engine, batch=batch, budget_s=budget_s)
    taken = Taken(_now(), platform.node(), busy or is_noisy(times.whole))
    return profile.with_op_times(times).with_session(model.digest, taken)


def _provenance(load: float, noisy: bool) -> Provenance:
    return Provenance(
        measured_at=_now(),
        host=platform.node(),
        torch_version=str(torch.__version__),
        load=load,
        noisy=noisy or _is_busy(load),
        allocator=allocator_state(),
    )


def _is_busy(load: float) -> bool:
    return load > (os.cpu_count() or 1)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def device_name(device: str) -> str:
    """The processor's or the GPU's own name; device: "cpu" or "cuda"."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return found[1].strip() if found else platform.processor() or platform.machine()
