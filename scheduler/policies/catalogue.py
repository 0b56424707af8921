"""What policies there are, for people: name, purpose, options."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic_core import PydanticUndefined

from isthmus.errors import InvalidConfiguration
from scheduler.policies.factory import BUILT_IN, installed, load_installed, options_type
from scheduler.policies.read_options import option_fields

__all__ = ["Listed", "catalogue"]


@dataclass(frozen=True, slots=True)
class Listed:
    """A policy. origin: "built in", or the package that registers it. options: by name, what each says and its default
    ("required" where it has none)."""

    name: str
    origin: str
    purpose: str
    options: Mapping[str, str]


def catalogue() -> Iterator[Listed]:
    """The built-in policies, then those of installed packages; one that cannot be loaded says why."""
    for name, kind in BUILT_IN.items():
        yield _listed(name, "built in", kind)
    for name, entry_point in sorted(installed().items()):
        origin = entry_point.dist.name if entry_point.dist is not None else entry_point.value
        try:
            yield _listed(name, origin, load_installed(name))
        except InvalidConfiguration as error:
            yield Listed(name, origin, f"{error.problem}", {})


def _listed(name: str, origin: str, factory: object) -> Listed:
    purpose = (inspect.getdoc(factory) or "").partition("\n\n")[0]
    model = options_type(factory)
    fields = {} if model is None else option_fields(model)
    options = {
        key: ", ".join(filter(None, (field.description, _default(field.get_default(call_default_factory=True)))))
        for key, field in fields.items()
    }
    return Listed(name, origin, " ".join(purpose.split()), options)


def _default(value: object) -> str:
    if value is PydanticUndefined:
        return "required"
    return "none by default" if value in (None, {}) else f"{value} by default"
