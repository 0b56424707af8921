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
from isthmus.errors import NotFound

__all__ = ["load"]


def load(
    context: typer.Context,
    scenario: Annotated[Path, typer.Argument(metavar="SCENARIO", help="The scenario file (YAML).")],
    server: Server = DEFAULT_SERVER,
    inputs: Annotated[
        list[Path] | None,
        typer.Option("--input", help="A file to send (an image, a .npy array), or a folder of them; may be repeated."),
    ] = None,
    edge: Annotated[str, typer.Option(help="Whose clients: a group of edges of the scenario, if it has several.")] = "",
    web: Annotated[
        str, typer.Option(help="HOST:PORT for locust's web page, where the load is started and watched; else at once.")
    ] = "",
    tls_authority: Authority = "",
    tls_certificate: Certificate = "",
    tls_key: Key = "",
) -> None:
    """Send the load of a scenario's clients to a running edge, and measure it from outside.

    The edge stands for one edge of the scenario. Requests leave at their times, whether or not earlier ones are
    answered, and latency counts from these times. Options that are not listed are locust's: --csv, --html, --processes.
    """
    if find_spec("locust") is None:
        raise NotFound("locust is not installed: pip install 'isthmus[load]'")
    from simulations.load.client_kind import client_kinds
    from simulations.load.load_inputs import read_inputs
    from simulations.load.load_settings import LoadSettings
    from simulations.scenario.reading import read_scenario

    client_kinds(read_scenario(scenario).scenario, edge)
    parse_address(server, "--server")
    read_inputs(inputs or ())
    tls_files(tls_authority, tls_certificate, tls_key)
    paths = tuple(str(path.resolve()) for path in inputs or ())
    settings = LoadSettings(str(scenario.resolve()), edge, paths, (tls_authority, tls_certificate, tls_key))
    arguments = [*_started(web), "--host", server, *context.args]
    os.execve(sys.executable, arguments, {**os.environ, **settings.to_environment()})


def _started(web: str) -> list[str]:
    from simulations.load.load_settings import LOCUST_FILE

    started = [sys.executable, "-m", "locust", "-f", str(LOCUST_FILE)]
    if not web:
        return [*started, "--headless"]
    host, port = parse_address(web, "--web")
    return [*started, "--web-host", host, "--web-port", str(port)]
