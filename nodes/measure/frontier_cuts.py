"""Which cuts of a model to time on this device, when it is known what is at the other end: by the sizes that
`isthmus partition` goes by, the lossless codecs' on calibration inputs."""

from __future__ import annotations

from nodes.measure.lossless_sizes import MOST_ITEMS, with_lossless_sizes
from partitioner.candidate_cuts import candidate_cuts
from partitioner.cost_model import Costing
from partitioner.measurements import digest_of_ops
from partitioner.model import Model, has_items
from partitioner.profiles import DeviceProfile

__all__ = ["finding_s", "untimed_cuts"]

_SIZED_BY = ("zstd", "lz4")


def untimed_cuts(model: Model, mine: DeviceProfile, other: DeviceProfile) -> tuple[tuple[str, ...], ...]:
    """The edge ops of each cut on the exact frontier between the two devices of which `mine` knows no half yet that
    was timed for its own sake."""
    known = {one.key for one in mine.segment_times}
    cuts = candidate_cuts(model, mine, other, with_lossless_sizes(Costing(), model))
    return tuple(
        cut for cut in cuts if (model.digest, "prefix", digest_of_ops(cut), mine.engine, 1, False) not in known
    )


def finding_s(model: Model, mine: DeviceProfile, whole_s: float) -> float:
    """About how long `untimed_cuts` takes: running and coding some calibration inputs, where there are any."""
    if not has_items(model):
        return 0.0
    items = min(MOST_ITEMS, len(model.calibration[0]))
    rates = [mine.codec_rates[name] for name in _SIZED_BY if name in mine.codec_rates]
    coding_s = sum(rate.encode_s(tensor.bytes) for rate in rates for tensor in model.graph.tensors.values())
    return items * (whole_s + coding_s)
