"""Commands that run nodes or talk to running ones: up, cloud, edge, infer, status, demo."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from isthmus.cli.connection_options import DEFAULT_SERVER, Authority, Certificate, Key, Server, tls_files
from isthmus.cli.output_file import check_folder
from isthmus.errors import InvalidRequest
from isthmus.file_stamp import FileStamp
from isthmus.interruption import Interruption, interruptible, keep_forks_quiet

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from isthmus.client import Result, Value
    from isthmus.configuration import Configuration
    from isthmus.configuration_follower import FollowedFile
    from isthmus.deployment import Deployment, Sides

__all__ = ["cloud", "demo", "edge", "infer", "registry", "status", "up"]

ConfigurationFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="The configuration file (YAML).")]


def up(config: ConfigurationFile) -> None:
    """Run edge and cloud on this machine until Ctrl-C or SIGTERM, which drain.

    Prints `ready: grpc://HOST:PORT` once it answers with all plans measured. Follows the file from then on: policies
    at once, models and settings of the replicas by a roll-out.
    """
    _serve(config, cloud_side=True, edge_side=True)


def cloud(config: ConfigurationFile) -> None:
    """Run the cloud side: fleet registry and replicas. Prints `ready: registry HOST:PORT`.

    Follows the file: another model or other settings of the replicas are rolled out beside those that serve.
    """
    _serve(config, cloud_side=True, edge_side=False)


def edge(config: ConfigurationFile) -> None:
    """Run the edge side. It serves alone at once and uses the cloud as soon as it is there.

    Follows the policies in the file, and the versions of its models.
    """
    _serve(config, cloud_side=False, edge_side=True)


def registry(config: ConfigurationFile) -> None:
    """Run the fleet registry alone, where somebody else starts the replicas. Prints `ready: registry HOST:PORT`."""
    from isthmus.configuration import read_configuration

    configuration = read_configuration(config)
    configuration.logs.settings.configure()
    asyncio.run(_registry_until_interrupted(configuration))


async def _registry_until_interrupted(configuration: Configuration) -> None:
    from isthmus.deployment import running_registry

    async with interruptible() as over, running_registry(configuration) as address:
        print(f"ready: registry {address}", flush=True)
        await over.wait()


def _serve(path: Path, *, cloud_side: bool, edge_side: bool) -> None:
    from isthmus.configuration import read_configuration

    keep_forks_quiet()
    stamp = FileStamp.of(path)
    configuration = read_configuration(path)
    configuration.logs.settings.configure()
    from isthmus.configuration_follower import FollowedFile
    from isthmus.deployment import Sides

    sections = ("models", "logs", *(("edge",) if edge_side else ()), *(("cloud", "link") if cloud_side else ()))
    file = FollowedFile(path, stamp, sections)
    asyncio.run(_serve_until_interrupted(configuration, Sides(cloud_side, edge_side), file))


async def _serve_until_interrupted(configuration: Configuration, sides: Sides, file: FollowedFile) -> None:
    from isthmus.deployment import deploy
    from isthmus.model_export import export_models

    folder = file.path.resolve().parent
    async with interruptible() as over:
        export = partial(export_models, configuration.models, folder, _progress)
        async with deploy(configuration, sides, export, _progress, folder) as running:
            for line in _emulations(configuration, sides):
                _progress(line)
            ready = f"grpc://{running.gateway}" if sides.edge else f"registry {running.registry}"
            print(f"ready: {ready}", flush=True)
            try:
                async with _followed(file, configuration, running, sides):
                    await _until_over(over, running)
            finally:
                _progress("draining")


async def _until_over(over: Interruption, running: Deployment) -> None:
    """Return when a signal comes. Raises Unavailable when the edge has died for good."""
    signal, death = asyncio.create_task(over.wait()), asyncio.create_task(running.watch_edge())
    try:
        await asyncio.wait((signal, death), return_when=asyncio.FIRST_COMPLETED)
        if not over.came:
            await death
    finally:
        for task in (signal, death):
            task.cancel()
        await asyncio.gather(signal, death, return_exceptions=True)


@contextlib.asynccontextmanager
async def _followed(
    file: FollowedFile, configuration: Configuration, running: Deployment, sides: Sides
) -> AsyncIterator[None]:
    """With what runs following its file."""
    from isthmus.configuration_follower import ConfigurationFollower

    configure = running.configure if sides.edge else None
    follower = ConfigurationFollower(file, configuration, running.policies, configure, _progress, running.roll_out)
    following = asyncio.create_task(follower.follow())
    try:
        yield
    finally:
        following.cancel()
        await asyncio.wait([following])


def _emulations(configuration: Configuration, sides: Sides) -> list[str]:
    """What is emulated: every output must say so."""
    lines = []
    if sides.edge and configuration.edge.emulate_slowdown != 1.0:
        lines.append(f"emulated: the edge is {configuration.edge.emulate_slowdown:g} times slower than this machine")
    if sides.cloud and configuration.cloud.engine == "paced":
        lines.append(f"emulated: cloud replicas sleep for the times of {configuration.cloud.paced_by} (engine: paced)")
    if configuration.link is not None:
        where = "" if sides.cloud else " (only with `isthmus up` or `isthmus cloud`; not here)"
        lines.append(f"emulated: the link between edge and cloud{where}")
    return lines


def _progress(line: str) -> None:
    print(f"isthmus: {line}", file=sys.stderr, flush=True)


def infer(
    model: Annotated[str, typer.Argument(help="The name under which the model is served.")],
    input_path: Annotated[Path, typer.Option("--input", help="An image, or a .npy array with the batch first.")],
    server: Server = DEFAULT_SERVER,
    policy: Annotated[str, typer.Option(help="A policy for this request only.")] = "",
    timeout: Annotated[str, typer.Option(help="Deadline, like 2s.")] = "30s",
    tls_authority: Authority = "",
    tls_certificate: Certificate = "",
    tls_key: Key = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Send one request through the public API and print the answer, the plan and why it was chosen."""
    from isthmus.client import Client
    from isthmus.units import parse_duration_s

    timeout_s = parse_duration_s(timeout, "--timeout")
    value = _input_value(input_path)
    with Client(server, tls_files(tls_authority, tls_certificate, tls_key)) as client:
        name = client.input_names(model)[0]
        result = client.infer(model, {name: value}, timeout_s=timeout_s, policy=policy or None)
    if as_json:
        outputs = {name: array.tolist() for name, array in result.outputs.items()}
        print(json.dumps({"outputs": outputs, **dict(result.parameters)}))
        return
    _print_result(result)


def _input_value(path: Path) -> Value:
    import numpy as np

    if path.suffix != ".npy":
        return path
    try:
        with path.open("rb") as file:  # `np.load` takes archives and pickles too, each with errors of its own
            array: NDArray[np.generic] = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InvalidRequest("--input", f"is not an array: {error}", value=str(path)) from error
    return array


def _print_result(result: Result) -> None:
    from isthmus.answers import best_classes

    for name, array in result.outputs.items():
        print(f"{name}: {array.dtype} {list(array.shape)}")
        for line in best_classes(array):
            print(f"  {line}")
    print(f"plan {result.plan_id}: {result.parameters.get('isthmus_reason', '')}")
    print("  ".join(f"{stage} {value:.1f} ms" for stage, value in result.timings.items()))


def status(
    server: Server = DEFAULT_SERVER,
    tls_authority: Authority = "",
    tls_certificate: Certificate = "",
    tls_key: Key = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say whether an edge answers and, on its own machine, what needs attention. Exit 0 when it is ready, 1 when
    not."""
    from isthmus.cli.operator_commands import notices
    from isthmus.cli.top_lines import plain
    from isthmus.client import Client

    tls = tls_files(tls_authority, tls_certificate, tls_key)
    with Client(server, tls) as client:
        ready = client.ready()
    attention = notices(server, tls)
    if as_json:
        print(json.dumps({"server": server, "ready": ready, "attention": attention}))
    else:
        print(f"{server}: {'ready' if ready else 'not ready'}")
        for one in attention or ():
            print(f"  {one['level']}: {plain(one['what'])} {plain(one['look'])}")
    if not ready:
        raise typer.Exit(1)


def demo(
    output: Annotated[Path, typer.Option("-o", help="Folder for the picture of the cut.")] = Path("demo-output"),
    runtime: Annotated[Literal["ray", "process"], typer.Option(help="What hosts the nodes.")] = "ray",
) -> None:
    """Cut a real ImageNet model on this machine and watch what is chosen on four links, and why."""
    from isthmus.telemetry import configure_logging

    check_folder(output, "-o")
    configure_logging("warning")
    keep_forks_quiet()
    from isthmus.demo import run_demo

    asyncio.run(run_demo(output, runtime))
