"""A profile of hardware that one does not have: a measured one, scaled to a stated peak and memory bandwidth, or by
one factor, as a slower device is emulated.

Each op keeps what it was measured to take, times what the roofline says of the two devices: an op bound by arithmetic
follows the peaks, one bound by memory the bandwidths (Williams, Waterman and Patterson, "Roofline", CACM 2009).
Overheads of an op follow the peaks. So do codecs and preprocessing on a slower device; on a faster one they keep their
times, since a core that codes is no quicker beside a larger GPU. Good for planning; never a measurement, and marked so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from isthmus.errors import InvalidInput
from partitioner.cost_model import ModelFacts
from partitioner.measurements import OpTimes
from partitioner.profiles import DeviceProfile
from partitioner.roofline import Roofline

__all__ = ["scaled_profile", "slowed_profile"]


def scaled_profile(
    profile: DeviceProfile,
    *,
    name: str,
    flops_per_s: float,
    memory_bytes_per_s: float,
    models: Sequence[ModelFacts] = (),
) -> DeviceProfile:
    """`profile` as a device called `name` would have it, whose float32 peak and memory bandwidth are stated.

    Other dtypes keep their ratio to float32. models: those whose op times are to be carried over; times of whole
    segments are not, since how an engine fuses there is not known, nor are power and price, which were declared of
    other hardware. Raises InvalidInput for a rate that is none.
    """
    for field, rate in (("flops_per_s", flops_per_s), ("memory_bytes_per_s", memory_bytes_per_s)):
        if not (math.isfinite(rate) and rate > 0):
            raise InvalidInput(field, "must be above zero", value=rate)
    faster = flops_per_s / profile.flops_per_s["float32"]
    slower = max(1.0, 1 / faster)
    there = Roofline(
        {dtype: rate * faster for dtype, rate in profile.flops_per_s.items()},
        memory_bytes_per_s,
        profile.op_overhead_s / faster,
        {kind: rate * faster for kind, rate in profile.kind_flops_per_s.items()},
    )
    stated = f"{flops_per_s:.4g} FLOP/s float32, {memory_bytes_per_s:.4g} B/s"
    return replace(
        profile,
        name=name,
        flops_per_s=there.flops_per_s,
        kind_flops_per_s=there.kind_flops_per_s,
        memory_bytes_per_s=memory_bytes_per_s,
        op_overhead_s=there.op_overhead_s,
        codec_rates={codec: rate.scaled(slower) for codec, rate in profile.codec_rates.items()},
        preprocessing_s_per_pixel=profile.preprocessing_s_per_pixel * slower,
        preprocessing_fixed_s=profile.preprocessing_fixed_s * slower,
        op_times=tuple(
            _scaled_times(times, model, profile.roofline(), there) for times, model in _pairs(profile, models)
        ),
        segment_times=(),
        footprints=(),
        power=None,
        price=None,
        provenance=replace(profile.provenance, scaled_from=f"{profile.name}, to {stated}"),
    )


def slowed_profile(profile: DeviceProfile, slowdown: float) -> DeviceProfile:
    """`profile` of the same device as emulated: `slowdown` times slower in all that it does, which its times say then.

    Times of whole segments and footprints are left out. Raises InvalidProfile for a slowdown below 1.
    """
    return replace(
        profile,
        slowdown=profile.slowdown * slowdown,
        flops_per_s={dtype: flops / slowdown for dtype, flops in profile.flops_per_s.items()},
        kind_flops_per_s={kind: flops / slowdown for kind, flops in profile.kind_flops_per_s.items()},
        memory_bytes_per_s=profile.memory_bytes_per_s / slowdown,
        op_overhead_s=profile.op_overhead_s * slowdown,
        codec_rates={name: rate.scaled(slowdown) for name, rate in profile.codec_rates.items()},
        preprocessing_s_per_pixel=profile.preprocessing_s_per_pixel * slowdown,
        preprocessing_fixed_s=profile.preprocessing_fixed_s * slowdown,
        op_times=tuple(_slowed_times(times, slowdown) for times in profile.op_times),
        segment_times=(),
        footprints=(),
    )


def _slowed_times(times: OpTimes, slowdown: float) -> OpTimes:
    seconds = {name: one.scaled(slowdown) for name, one in times.seconds.items()}
    return replace(times, seconds=seconds, whole=times.whole.scaled(slowdown))


def _pairs(profile: DeviceProfile, models: Sequence[ModelFacts]) -> list[tuple[OpTimes, ModelFacts]]:
    by_digest = {model.digest: model for model in models}
    return [(t, by_digest[t.model_digest]) for t in profile.op_times if t.model_digest in by_digest]


def _scaled_times(times: OpTimes, model: ModelFacts, here: Roofline, there: Roofline) -> OpTimes:
    ours, theirs = here.op_seconds(model.graph, times.batch), there.op_seconds(model.graph, times.batch)
    factors = {name: theirs[name] / ours[name] for name in times.seconds if name in ours}
    seconds = {name: one.scaled(factors.get(name, 1.0)) for name, one in times.seconds.items()}
    shares = times.shares_of_whole()
    whole_factor = math.fsum(shares[name] * factors.get(name, 1.0) for name in shares) / math.fsum(shares.values())
    return replace(times, seconds=seconds, whole=times.whole.scaled(whole_factor))
