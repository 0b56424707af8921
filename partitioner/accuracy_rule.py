"""Which lossy codec a tensor may take: what codec measurements become for the solver."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from isthmus.errors import InvalidInput
from partitioner.plan import CodecKey, codec_key

__all__ = ["TAKEN_OUT", "AccuracyRule", "AccuracyTable"]

TAKEN_OUT = "a codec was taken out of every cut because one plan broke the budget as a whole"
"""Why nothing is proven of all codecs measured where `AccuracyRule.pruned`."""


class AccuracyRule(Protocol):
    """Says which codecs of which tensors keep an accuracy budget. Lossless codecs are never asked about."""

    @property
    def words(self) -> str:
        """The budget as a person would call it, where it stands in a plan's way."""

    @property
    def pruned(self) -> bool:
        """Whether a codec that alone keeps the budget was taken out for a whole plan's sake, of every cut: a plan that
        keeps it there with that codec is then never looked at, so no search proves the best of the codecs measured."""

    def allows(self, tensor: str, codec: str, parameters: Mapping[str, str]) -> bool:
        """Whether `tensor` may cross with that lossy codec in those parameters."""


@dataclass(frozen=True, slots=True)
class AccuracyTable:
    """Losses measured of one tensor's codec at a time, against a budget; what nobody measured is `unmeasured`.

    budget, losses: shares of the agreement with the whole model (0.02: two in a hundred differ). words, pruned:
    see `AccuracyRule`; words are the budget itself without.
    Raises InvalidInput for a budget outside 0 to 1.
    """

    budget: float
    losses: Mapping[CodecKey, float]
    unmeasured: bool = False
    words: str = ""
    pruned: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.budget <= 1.0:
            raise InvalidInput("accuracy budget", "must be between 0 and 1", value=self.budget, remedy="0.02 is common")
        if not self.words:
            object.__setattr__(self, "words", f"accuracy budget {self.budget:g}")

    def allows(self, tensor: str, codec: str, parameters: Mapping[str, str]) -> bool:
        """Whether the measured loss is within the budget."""
        loss = self.losses.get(codec_key(tensor, codec, parameters), -math.inf if self.unmeasured else math.inf)
        return loss <= self.budget
