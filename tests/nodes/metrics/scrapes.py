"""What /metrics answered, to look things up in."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

__all__ = ["Scrape", "Scrapes"]


@dataclass(frozen=True)
class Scrape:
    """One answer at /metrics."""

    text: str

    @property
    def families(self) -> list[Metric]:
        """As Prometheus reads them."""
        return list(text_string_to_metric_families(self.text))

    def value(self, name: str, **labels: str) -> float:
        """The sum of that name's samples that have these labels."""
        samples = [one for family in self.families for one in family.samples if one.name == name]
        return sum(one.value for one in samples if labels.items() <= one.labels.items())


@dataclass(frozen=True)
class Scrapes:
    """Of both sides, after `answered_in_cloud` and `answered_on_edge` requests of the model "small" by policies of
    those names, one more that forced the edge's plan, one for a model that there is not, and one with a wrong shape."""

    edge: Scrape
    cloud: Scrape
    answered_in_cloud: int = 3
    answered_on_edge: int = 2
