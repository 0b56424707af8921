"""A policy's options as its model reads them, and as plain data of which it reads the same ones again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from isthmus.errors import InvalidConfiguration, InvalidInput, IsthmusError

__all__ = ["option_fields", "plain_options", "read_options"]

_PLAIN = "have it read what it writes: convert where the policy is made, or give it a serializer; name it by `alias`"


def option_fields(model: type[BaseModel]) -> Mapping[str, FieldInfo]:
    """The options by the names under which people give them."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def read_options(model: type[BaseModel], given: Mapping[str, Any], policy: str, folder: str) -> BaseModel:
    """What is given, checked. policy: whose options they are, for people. folder: where files that they name are.

    Raises InvalidInput that names the option at fault; the policy where a validator of its own breaks.
    """
    try:
        return model.model_validate(dict(given), context={"folder": folder})
    except ValidationError as error:
        raise _first_fault(error, model) from None
    except IsthmusError:
        raise
    except Exception as error:  # the policy's own code
        remedy = "its Options' validators must raise ValueError for what cannot be; then the option is named"
        raise InvalidConfiguration(
            "policy", f"cannot read its options: {_said(error)}", value=policy, remedy=remedy
        ) from error


def plain_options(made: BaseModel, policy: str, folder: str) -> dict[str, Any]:
    """Options as JSON has them: what an edge is started with, and what its decision log keeps.

    Raises InvalidConfiguration that names an option which is another one once it is read again: a validator that
    converts would have converted twice there.
    """
    try:
        plain = made.model_dump(mode="json", by_alias=True, round_trip=True, warnings=False)
    except Exception as error:  # a type that JSON has not, or a serializer of the policy's own
        problem = f"has options that are no plain data: {_said(error)}"
        raise InvalidConfiguration("policy", problem, value=policy, remedy=_PLAIN) from error
    try:
        again = read_options(type(made), plain, policy, folder)
    except InvalidInput as error:
        problem = f"cannot be read again on the edge: {error.problem}"
        raise InvalidConfiguration(error.field, problem, value=error.value, remedy=_PLAIN) from error
    for name, field in type(made).model_fields.items():
        before, after = getattr(made, name), getattr(again, name)
        if before != after:
            problem = f"is {after!r} where the edge reads it again, and was {before!r}"
            raise InvalidConfiguration(f"policy.{field.alias or name}", problem, remedy=_PLAIN)
    return plain


def _first_fault(error: ValidationError, model: type[BaseModel]) -> InvalidConfiguration:
    fault, fields = error.errors(include_url=False)[0], option_fields(model)
    field = ".".join(["policy", *(str(part) for part in fault["loc"])])
    if fault["type"] == "extra_forbidden":
        known = ", ".join(fields) or "none"
        return InvalidConfiguration(field, "is no option", value=fault.get("input"), remedy=f"there are: {known}")
    if fault["type"] == "missing":
        said = fields.get(str(fault["loc"][-1])) if fault["loc"] else None
        meaning = f" ({said.description})" if said is not None and said.description else ""
        return InvalidConfiguration(field, f"is missing{meaning}", remedy="set it beside the policy's name")
    return InvalidConfiguration(field, str(fault["msg"]), value=fault.get("input"), remedy="see isthmus policy list")


def _said(error: Exception) -> str:
    """In one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
