"""What the engines of two devices do to a model's answers, as their profiles say, with nothing lost on the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from nodes.engines.factory import EXACT_ENGINES
from partitioner.model import Model, has_classes
from partitioner.plan_table import EngineDifference
from partitioner.profiles import DeviceProfile

__all__ = ["NO_LOSS", "EngineLoss", "engine_loss"]


@dataclass(frozen=True, slots=True)
class EngineLoss:
    """Shares of the answers, as an accuracy budget is. edge, cloud: of plans whose ops all run on that side. both: of
    splits. words: whose, and whose nobody measured; "" of none."""

    edge: float
    cloud: float
    both: float
    words: str

    def whole_on(self, budget: float) -> tuple[str, ...]:
        """The sides that each keep to a budget alone, where both together break it; none where both together keep to
        it, and where no side does."""
        alone = {"edge": self.edge, "cloud": self.cloud}
        return () if self.both <= budget else tuple(side for side, loss in alone.items() if loss <= budget)

    def charged(self, budget: float) -> float:
        """What is taken off a budget: by splits, or by the plans that `whole_on` leaves."""
        sides = self.whole_on(budget)
        return max(getattr(self, side) for side in sides) if sides else self.both

    def said(self, budget: float) -> str:
        """`words`, with the plans that `whole_on` leaves."""
        kinds = " or ".join(f"{side}-only" for side in self.whole_on(budget))
        return f"{self.words}: {kinds} alone keeps to it" if kinds else self.words


NO_LOSS = EngineLoss(0.0, 0.0, 0.0, "")

Measure = Callable[[Model, DeviceProfile], EngineDifference | None]
"""How far the engine of a device is from eager on a model; None where that cannot be measured."""


def _nobody(model: Model, device: DeviceProfile) -> None:
    return None


def engine_loss(model: Model, edge: DeviceProfile, cloud: DeviceProfile, measure: Measure = _nobody) -> EngineLoss:
    """What the engines of both sides lose at most: in a split what each loses alone adds up, as on a running edge.

    One engine on both sides was measured on the whole model, so in a split it counts once: the larger of the two
    measurements. measure: asked where no profile says anything of an engine.
    """
    told = [(device.engine, _told(model, device)) for device in (edge, cloud)]
    most = {
        engine: max((loss for name, loss in told if name == engine and loss is not None), default=None)
        for engine, _ in told
        if engine not in EXACT_ENGINES
    }
    here = _measured(model, [device for device in (edge, cloud) if most.get(device.engine, 0.0) is None], measure)
    known = {engine: here.get(engine) if loss is None else loss for engine, loss in most.items()}
    on_edge, in_cloud = (known.get(engine) if loss is None else loss for engine, loss in told)
    both = sum(loss or 0.0 for loss in known.values())
    words = ", ".join(_words(engine, loss, engine in here) for engine, loss in known.items())
    return EngineLoss(on_edge or 0.0, in_cloud or 0.0, both, words)


def _measured(model: Model, devices: Iterable[DeviceProfile], measure: Measure) -> Mapping[str, float]:
    """By engine, what was found of those that can be measured."""
    found: dict[str, float] = {}
    for device in devices:
        difference = None if device.engine in found else measure(model, device)
        if difference is not None:
            found[device.engine] = difference.loss(has_classes(model))
    return found


def _told(model: Model, device: DeviceProfile) -> float | None:
    """What that side's profile says of its engine; None where it is silent."""
    if device.engine in EXACT_ENGINES:
        return 0.0
    difference = device.engine_differences.get(model.digest)
    return None if difference is None else difference.loss(has_classes(model))


def _words(engine: str, loss: float | None, here: bool) -> str:
    if loss is None:
        return f"what {engine} loses is not known: isthmus profile MODEL"
    return f"{loss:.2g} lost by {engine}{' as measured here' if here else ''}"
