"""`isthmus`: the entry point. Turns every expected error into one line and an exit code."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import typer

from isthmus.cli.capacity_command import capacity
from isthmus.cli.certs_command import certs
from isthmus.cli.declare_command import declare
from isthmus.cli.doctor_command import doctor
from isthmus.cli.emulate_link import emulate_link
from isthmus.cli.fit_link_command import fit_link
from isthmus.cli.import_command import import_model
from isthmus.cli.load_command import load
from isthmus.cli.operator_commands import explain, remeasure
from isthmus.cli.partition_command import partition
from isthmus.cli.policy_command import policy
from isthmus.cli.profile_command import profile
from isthmus.cli.record_command import record
from isthmus.cli.replay_command import replay
from isthmus.cli.run_commands import cloud, demo, edge, infer, registry, status, up
from isthmus.cli.simulate_command import simulate
from isthmus.cli.top_command import top
from isthmus.errors import HostLost, InvalidInput, IsthmusError, NotFound

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
app.command("declare")(declare)
app.command("partition")(partition)
app.command("up")(up)
app.command("cloud")(cloud)
app.command("edge")(edge)
app.command("registry")(registry)
app.command("infer")(infer)
app.command("status")(status)
app.command("explain")(explain)
app.command("top")(top)
app.command("remeasure")(remeasure)
app.command("doctor")(doctor)
app.command("certs")(certs)
app.add_typer(policy)
app.command("simulate")(simulate)
app.command("capacity")(capacity)
app.command("replay")(replay)
app.command("emulate-link")(emulate_link)
app.command("record")(record)
app.command("fit-link")(fit_link)
# What is not ours is locust's.
app.command("load", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(load)


# Typer brings its own copy of click in some releases: its usage errors are reached through its public names.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]


def main() -> None:
    """Run the command line: exit 0, 1 for a failure, 2 for bad usage; errors are one line on standard error."""
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except _UsageError as error:
        _fail(_usage(error), 2)
    except HostLost as error:
        _say(str(error))
        sys.stdout.flush()
        os._exit(1)  # its library waits for it once more when Python ends
    except IsthmusError as error:
        _fail(str(error), 2 if isinstance(error, InvalidInput | NotFound) else 1)


def _usage(error: Exception) -> str:
    """What click would print of a usage error, which names the option or argument."""
    format_message = getattr(error, "format_message", None)
    return str(format_message() if format_message is not None else error)


def _fail(message: str, code: int) -> NoReturn:
    _say(message)
    sys.exit(code)


def _say(message: str) -> None:
    print("error: " + " ".join(message.split()), file=sys.stderr, flush=True)
