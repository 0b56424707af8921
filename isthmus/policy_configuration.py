"""A policy in the configuration file: a name, or a name with the policy's own options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

__all__ = ["NamedPolicy", "PolicyConfiguration"]


class PolicyConfiguration(BaseModel):
    """A placement policy: its name, or the name and the policy's own options, which the policy checks."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = Field(default="latency", min_length=1)

    @property
    def options(self) -> Mapping[str, Any]:
        """What stands beside the name."""
        return dict(self.__pydantic_extra__ or {})


def _named(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


NamedPolicy = Annotated[PolicyConfiguration, BeforeValidator(_named)]
"""As people write it: `latency`, or `{name: slo, deadline: 200ms}`."""
