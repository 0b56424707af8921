"""Which codecs two devices cannot plan with, because nobody timed them there: `quotes_for` leaves them out."""

from __future__ import annotations

from collections.abc import Iterable

from partitioner.profiles import DeviceProfile

__all__ = ["FREE_CODECS", "without_rates"]

FREE_CODECS = frozenset({"raw", "file"})
"""They need no rate: nothing is coded."""


def without_rates(names: Iterable[str], edge: DeviceProfile, cloud: DeviceProfile) -> str:
    """Those of `names` without a rate, by side, in words: "png, webp (cloud); avif (edge and cloud)". "" of none."""
    coded = [name for name in names if name not in FREE_CODECS]
    sides = {name: _without(name, edge, cloud) for name in coded}
    by_sides = {where: [name for name in coded if sides[name] == where] for where in sides.values() if where}
    return "; ".join(f"{', '.join(missing)} ({where})" for where, missing in by_sides.items())


def _without(name: str, edge: DeviceProfile, cloud: DeviceProfile) -> str:
    sides = {"edge": edge, "cloud": cloud}
    return " and ".join(side for side, device in sides.items() if name not in device.codec_rates)
