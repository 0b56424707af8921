"""`isthmus load`: a scenario's clients on a running edge, by locust."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from isthmus.addresses import parse_address
from isthmus.cli.connection_options import DEFAULT_SERVER, Authority, Certificate, Key, Server, tls_files
from isthmus.cli.listen_options import Insecure, listen_address
from isthmus.errors import NotFound

__all__ = ["load", "locust_command"]


def load(
    context: typer.Context,
    scenario: Annotated[Path, typer.Argument(metavar="SCENARIO", help="The scenario file (YAML).")],
    server: Server = DEFAULT_SERVER,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="[MODEL=]FILE",
            help="A file to send (an image, a .npy array), or a folder of them; repeatable. Where the clients ask for "
            "several models it says for which.",
        ),
    ] = None,
    edge: Annotated[str, typer.Option(help="Whose clients: a group of edges of the scenario, if it has several.")] = "",
    web: Annotated[
        str, typer.Option(help="HOST:PORT for locust's web page, where the load is started and watched; else at once.")
    ] = "",
    tls_authority: Authority = "",
    tls_certificate: Certificate = "",
    tls_key: Key = "",
    insecure: Insecure = False,
) -> None:
    """Send the load of a scenario's clients to a running edge, and measure it from outside.

    The edge stands for one edge of the scenario. Requests leave at their times, whether or not earlier ones are
    answered, and latency counts from these times. Options that are not listed are locust's: --csv, --html, --processes.
    Whoever reaches the page or the port of its processes steers the load: both are of loopback without --insecure.
    """
    if find_spec("locust") is None:
        raise NotFound("locust is not installed: pip install 'isthmus[load]'")
    from simulations.load.client_kind import client_kinds
    from simulations.load.load_inputs import input_files, read_inputs
    from simulations.load.load_settings import LoadSettings
    from simulations.scenario.reading import read_scenario

    kinds = client_kinds(read_scenario(scenario).scenario, edge)
    parse_address(server, "--server")
    files = input_files(inputs or (), [kind.model for kind in kinds])
    for paths in files.values():
        read_inputs(paths)
    tls_files(tls_authority, tls_certificate, tls_key)
    given = tuple(f"{model}={path.resolve()}" for model, paths in files.items() for path in paths)
    settings = LoadSettings(str(scenario.resolve()), edge, given, (tls_authority, tls_certificate, tls_key))
    arguments = [*locust_command(web, insecure=insecure), "--host", server, *context.args]
    os.execve(sys.executable, arguments, {**os.environ, **settings.to_environment()})


def locust_command(web: str, *, insecure: bool) -> list[str]:
    """How locust is started, but for what is asked of it. web: where its page listens, "" for none. insecure: other
    machines may reach it. Raises InvalidConfiguration."""
    from simulations.load.load_settings import LOCUST_FILE

    started = [sys.executable, "-m", "locust", "-f", str(LOCUST_FILE)]
    if not insecure:  # where --processes report to: locust's own default is every address
        started += ["--master-bind-host", "127.0.0.1"]
    if not web:
        return [*started, "--headless"]
    host, port = listen_address(web, "--web", insecure=insecure)
    return [*started, "--web-host", host, "--web-port", str(port)]
