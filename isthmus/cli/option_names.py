"""Errors of commands by the names of their options: what checks a value knows its field in Python, its user what was
typed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from isthmus.errors import InvalidInput, NotFound, Unavailable

__all__ = ["option_names"]


@contextmanager
def option_names(options: Mapping[str, str]) -> Iterator[None]:
    """Around a command, also as its decorator: an error about one of these fields names the option in its place.

    options: by field, as errors name it: {"link.rtt": "--rtt"}. One that ends in a point or a blank stands for all that
    begin so: {"policy.": "--options"} makes "--options share" of "policy.share". What is about anything else goes
    through as it is.
    """
    try:
        yield
    except InvalidInput as error:
        if (option := _option(error.field, options)) is None:
            raise
        raise type(error)(option, error.problem, value=error.value, remedy=error.remedy) from error
    except (NotFound, Unavailable) as error:  # these have no field, but words that begin with it
        field, _, words = str(error).partition(": ")
        if (option := _option(field, options)) is None:
            raise
        raise type(error)(f"{option}: {words}") from error


def _option(field: str, options: Mapping[str, str]) -> str | None:
    if field in options:
        return options[field]
    for start, option in options.items():
        if start.endswith((".", " ")) and field.startswith(start):
            return f"{option} {field.removeprefix(start)}"
    return None
