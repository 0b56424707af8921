"""What the commands say of times that were taken on a busy machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from partitioner.profiles import DeviceProfile

__all__ = ["NOISY", "noise_words"]

NOISY = "noisy: measure again on a quiet machine"


def noise_words(profile: DeviceProfile, model_digest: str | None) -> str:
    """What to do about a profile and what it knows of that model, if of any; "" where both were taken in quiet. The
    device is measured anew only without MODEL, and what is measured of a model goes by it."""
    if model_digest is None:
        return NOISY if profile.provenance.noisy else ""
    first = ", first without MODEL" if profile.provenance.noisy else ""
    return f"{NOISY}{first}" if profile.is_noisy(model_digest) else ""
