"""Options that a command was given and that change nothing there are refused, not ignored."""

from __future__ import annotations

from collections.abc import Mapping

import typer

from isthmus.errors import InvalidInput

__all__ = ["refuse_given"]


def refuse_given(context: typer.Context, options: Mapping[str, str], problem: str, remedy: str) -> None:
    """Raises InvalidInput naming those of `options` that were typed, as their defaults, too.

    options: by parameter of the command, as in {"budget": "--budget"}.
    """
    given = [option for name, option in options.items() if _is_typed(context, name)]
    if given:
        raise InvalidInput(", ".join(given), problem, remedy=remedy)


def _is_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
