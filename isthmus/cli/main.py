"""`isthmus`: the entry point. Turns every expected error into one line and an exit code."""

from __future__ import annotations

import sys

import click
import typer

from isthmus.cli.emulate_link import emulate_link
from isthmus.cli.model_commands import import_model, partition, profile
from isthmus.cli.run_commands import cloud, demo, edge, infer, status, up
from isthmus.errors import InvalidInput, IsthmusError, NotFound

__all__ = ["app", "main"]

app = typer.Typer(
    name="isthmus",
    help="Cloud-edge split inference: cut a neural network where the device, the link and the load say so.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo)
app.command("import")(import_model)
app.command("profile")(profile)
app.command("partition")(partition)
app.command("up")(up)
app.command("cloud")(cloud)
app.command("edge")(edge)
app.command("infer")(infer)
app.command("status")(status)
app.command("emulate-link")(emulate_link)


def main() -> None:
    """Run the command line: exit 0, 1 for a failure, 2 for bad usage; errors are one line on standard error."""
    try:
        app(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        print(f"error: {error.format_message()}", file=sys.stderr)
        sys.exit(2)
    except IsthmusError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, InvalidInput | NotFound) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
