"""What two profiles say that their engines do to a model's answers, with nothing lost on the wire."""

from __future__ import annotations

from dataclasses import dataclass

from nodes.engines.factory import EXACT_ENGINES
from partitioner.model import Model, has_classes
from partitioner.profiles import DeviceProfile

__all__ = ["NO_LOSS", "EngineLoss", "engine_loss"]


@dataclass(frozen=True, slots=True)
class EngineLoss:
    """loss: of the answers, a share as an accuracy budget is. words: whose, and whose nobody measured; "" of none."""

    loss: float
    words: str


NO_LOSS = EngineLoss(0.0, "")


def engine_loss(model: Model, edge: DeviceProfile, cloud: DeviceProfile) -> EngineLoss:
    """What the engines of both sides lose at most: what each loses alone adds up, as on a running edge.

    One engine on both sides was measured on the whole model, so it counts once: the larger of the two measurements.
    """
    found: dict[str, float | None] = {}
    for device in (edge, cloud):
        if device.engine not in EXACT_ENGINES:
            difference = device.engine_differences.get(model.digest)
            known = found.get(device.engine)
            loss = None if difference is None else difference.loss(has_classes(model))
            found[device.engine] = max((one for one in (known, loss) if one is not None), default=None)
    return EngineLoss(sum(loss or 0.0 for loss in found.values()), ", ".join(map(_words, found, found.values())))


def _words(engine: str, loss: float | None) -> str:
    return (
        f"what {engine} loses is not known: isthmus profile MODEL" if loss is None else f"{loss:.2g} lost by {engine}"
    )
