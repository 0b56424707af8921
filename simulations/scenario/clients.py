"""Clients of a scenario, and what is promised to them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from isthmus.configuration_fields import Section
from isthmus.errors import InvalidConfiguration
from simulations.scenario.arrivals import Arrivals, FileSize, LoggedArrivals
from simulations.scenario.fields import Duration, Name, Share, positive

__all__ = ["ClientSection", "SloSection"]


class ClientSection(Section):
    """At each edge of a group `count` such clients, each with arrivals of its own.

    model: left out where arrivals are `logged`, as are all of the next: each request brings its own. file: each request
    brings a file of that size; left out, tensors. deadline: from the arrival; left out, none. priority: 1 first, 0
    last. request_class: the class that policies go by.
    """

    name: Name
    edges: Name
    model: str = ""
    arrivals: Arrivals
    count: int = Field(default=1, ge=1, le=100_000)
    file: FileSize | None = None
    deadline: Annotated[Duration, AfterValidator(positive)] | None = None
    priority: int = Field(default=0, ge=0)
    request_class: str = ""

    def model_post_init(self, context: object) -> None:
        """Either the client says what its requests are, or the log does."""
        if not isinstance(self.arrivals, LoggedArrivals):
            if not self.model:
                raise InvalidConfiguration(f"clients.{self.name}.model", "is missing", remedy="set it")
            return
        for name in ("model", "file", "deadline", "priority", "request_class"):
            value = getattr(self, name)
            if value != type(self).model_fields[name].default:
                problem = "is what each request of the log says"
                raise InvalidConfiguration(f"clients.{self.name}.{name}", problem, value=value, remedy="leave it out")

    def asked_models(self) -> frozenset[str]:
        """What its requests are of: as it says, or as its log does."""
        if isinstance(self.arrivals, LoggedArrivals):
            return frozenset(one.model for one in self.arrivals.requests().requests)
        return frozenset({self.model})


class SloSection(Section):
    """So large a share of requests answered within so long; what is refused, dropped or fails is not."""

    within: Annotated[Duration, AfterValidator(positive)]
    share: Share = 0.99
