"""What a half of a cut takes where it was measured whole, which a sum of its ops is only near."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from isthmus.errors import InvalidProfile
from partitioner.cost_model import ModelFacts
from partitioner.measurements import Half, digest_of_ops
from partitioner.profiles import DeviceProfile
from partitioner.setting import Setting

__all__ = ["measured_half_s", "measured_halves_s"]


def measured_half_s(
    device: DeviceProfile, model_digest: str, half: Half, edge_ops: Iterable[str], batch: int
) -> float | None:
    """Seconds of that half on the profile's engine at that very batch; None where it was not measured."""
    if not device.segment_times:
        return None
    try:
        return device.segment_time(model_digest, half, edge_ops, batch).seconds
    except InvalidProfile:
        return None


def measured_halves_s(model: ModelFacts, setting: Setting, edge_ops: Iterable[str]) -> Mapping[Half, float]:
    """Seconds of each half of a cut where it runs (the prefix on the edge, the suffix in the cloud) at the setting's
    batch and loads; only those that were timed for their own sake.

    Anchors were not: op times are scaled to them already, and the plans that a prediction is compared with are sums.
    """
    costing, digest = setting.costing, digest_of_ops(edge_ops)
    sides: tuple[tuple[Half, DeviceProfile, float], ...] = (
        ("prefix", setting.edge, costing.edge_load),
        ("suffix", setting.cloud, costing.cloud_load),
    )
    return {
        half: time.time.seconds * load
        for half, device, load in sides
        for time in device.segment_times
        if time.leading_ops is None and time.key == (model.digest, half, digest, device.engine, costing.batch)
    }
