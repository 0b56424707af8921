"""What a half of a cut takes where it was measured whole, which a sum of its ops is only near."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from isthmus.errors import InvalidProfile
from partitioner.cost_model import ModelFacts
from partitioner.measurements import Half, SegmentTime, digest_of_ops
from partitioner.profiles import DeviceProfile
from partitioner.setting import Setting

__all__ = ["has_measured_halves", "measured_half_s", "measured_halves_s"]


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
    digest = digest_of_ops(edge_ops)
    loads = {"prefix": setting.costing.edge_load, "suffix": setting.costing.cloud_load}
    timed = (one for one in _timed(model, setting) if one.edge_ops_digest == digest)
    return {one.segment: one.time.seconds * loads[one.segment] for one in timed}


def has_measured_halves(model: ModelFacts, setting: Setting) -> bool:
    """Whether `measured_halves_s` knows a half of any cut."""
    return any(True for _ in _timed(model, setting))


def _timed(model: ModelFacts, setting: Setting) -> Iterator[SegmentTime]:
    """The halves that were timed for their own sake where they run, at the setting's batch; prefixes first."""
    sides: tuple[tuple[Half, DeviceProfile], ...] = (("prefix", setting.edge), ("suffix", setting.cloud))
    for half, device in sides:
        wanted = (model.digest, half, device.engine, setting.costing.batch, False)
        for one in device.segment_times:
            if (one.model_digest, one.segment, one.engine, one.batch, one.is_anchor) == wanted:
                yield one
