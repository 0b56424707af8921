"""A whole scenario, and what must hold between its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from isthmus.configuration_fields import Section
from isthmus.errors import InvalidConfiguration
from simulations.scenario.arrivals import LoggedArrivals
from simulations.scenario.capacity import CapacitySection
from simulations.scenario.clients import ClientSection, SloSection
from simulations.scenario.cloud import CloudSection
from simulations.scenario.edges import EdgeSection, ModelSection
from simulations.scenario.fields import Duration, File, positive
from simulations.scenario.links import LinkSection

__all__ = ["MOST_REPLICATIONS", "Scenario"]

MOST_REPLICATIONS = 10_000


def _spread(value: Any) -> str:
    return "measured" if isinstance(value, str) else "a number"


class Scenario(Section):
    """A fleet under load for a while.

    duration: of arrivals; what was under way then is followed to its end. warm_up: whose arrivals do not count.
    replications: runs that differ in their random draws only. spread: by how much times and message lengths differ from
    request to request: "measured", as each plan says, or one standard deviation of their logarithm for all.
    prices: a file. sweep: values of fields by path; every combination is simulated. capacity: what `isthmus capacity`
    may choose.
    """

    name: str = Field(default="scenario", min_length=1, max_length=100)
    seed: int = Field(default=1, ge=0, lt=2**63)
    duration: Annotated[Duration, AfterValidator(positive)]
    warm_up: Duration = 0.0
    replications: int = Field(default=5, ge=1, le=MOST_REPLICATIONS)
    spread: Annotated[
        Annotated[Literal["measured"], Tag("measured")]
        | Annotated[float, Field(ge=0.0, le=3.0, allow_inf_nan=False), Tag("a number")],
        Discriminator(_spread),
    ] = "measured"
    models: tuple[ModelSection, ...] = Field(min_length=1)
    links: tuple[LinkSection, ...] = Field(min_length=1)
    edges: tuple[EdgeSection, ...] = Field(min_length=1)
    cloud: CloudSection = CloudSection()
    clients: tuple[ClientSection, ...] = Field(min_length=1)
    slo: SloSection | None = None
    prices: File | None = None
    sweep: Mapping[str, tuple[Any, ...]] = Field(default_factory=dict)
    capacity: CapacitySection | None = None

    def model_post_init(self, context: object) -> None:
        """Names are unique and found, and there is something left after the warm-up."""
        if self.warm_up >= self.duration:
            remedy = f"set it below the duration, {self.duration:g} s"
            raise InvalidConfiguration("warm_up", "leaves nothing to count", value=self.warm_up, remedy=remedy)
        models, links = _names("models", self.models), _names("links", self.links)
        edges = _names("edges", self.edges)
        _names("clients", self.clients)
        for edge in self.edges:
            _check_known(f"edges.{edge.name}.link", edge.link, links)
            for model in edge.plans:
                _check_known(f"edges.{edge.name}.plans", model, models)
        for client in self.clients:
            _check_known(f"clients.{client.name}.edges", client.edges, edges)
            _check_models(client, models)


def _check_models(client: ClientSection, models: Sequence[str]) -> None:
    """It asks of those that there are."""
    if not isinstance(client.arrivals, LoggedArrivals):
        _check_known(f"clients.{client.name}.model", client.model, models)
        return
    for model in sorted(client.asked_models().difference(models)):
        field, remedy = f"clients.{client.name}.arrivals.log", f"add it to models; there are: {', '.join(models)}"
        raise InvalidConfiguration(field, "asks of a model that is not there", value=model, remedy=remedy)


def _names(field: str, sections: Sequence[ModelSection | LinkSection | EdgeSection | ClientSection]) -> list[str]:
    names = [section.name for section in sections]
    for name in names:
        if names.count(name) > 1:
            raise InvalidConfiguration(field, "has one name twice", value=name, remedy="rename one of them")
    return names


def _check_known(field: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise InvalidConfiguration(field, "is not there", value=name, remedy=f"use one of: {', '.join(known)}")
