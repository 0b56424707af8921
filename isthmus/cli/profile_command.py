"""`isthmus profile`: measure this device and a model on it, ask a cloud what it measured, or plan for hardware that one
does not have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isthmus.cli.connection_options import Authority, Certificate, Key, tls_files
from isthmus.cli.given_options import refuse_given
from isthmus.cli.mergeable import check_mergeable
from isthmus.cli.model_argument import Examples, loaded_model, read_profile_of
from isthmus.cli.noise_words import noise_words
from isthmus.cli.option_names import option_names
from isthmus.cli.output_file import check_output, write_output
from isthmus.errors import InvalidInput, InvalidProfile
from isthmus.profile_file import read_profile

if TYPE_CHECKING:
    from partitioner.model import Model
    from partitioner.plan_table import EngineDifference
    from partitioner.profiles import DeviceProfile

__all__ = ["profile"]

# With a model, this much of the budget goes to the device itself, at most the default budget.
DEVICE_SHARE, DEVICE_S = 0.3, 5.0

Source = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="HOST:PORT",
        help="Measure nothing: ask a running cloud, at its registry or a replica, what it measured of itself.",
    ),
]


Against = Annotated[
    Path | None,
    typer.Option(
        help="The other side's profile, edge or cloud. With MODEL: also time both halves of each cut that may be the "
        "best between the two."
    ),
]


_OF_MEASURING = {"budget": "--budget", "threads": "--threads", "device": "--device", "engine": "--engine"}
_OF_ASKING = {"tls_authority": "--tls-authority", "tls_certificate": "--tls-certificate", "tls_key": "--tls-key"}


@option_names({"device": "--device", "engine": "--engine"})
def profile(
    context: typer.Context,
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help="Measure this model too.")] = None,
    example: Examples = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write, or to merge into.")] = Path(
        "device.json"
    ),
    budget: Annotated[str, typer.Option(help="Time to spend, like 120s; what it leaves out is said.")] = "10s",
    threads: Annotated[int, typer.Option(min=1, help="Threads of one op.")] = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    engine: Annotated[
        str, typer.Option(help="eager, onnxruntime, inductor or aot; a file is of one engine.")
    ] = "eager",
    against: Against = None,
    like: Annotated[
        Path | None, typer.Option(help="Measure nothing: scale this profile to hardware of --peak and --memory.")
    ] = None,
    peak: Annotated[str, typer.Option(help="With --like: its float32 arithmetic, like 500gflops.")] = "",
    memory: Annotated[str, typer.Option(help="With --like: its memory bandwidth, like 50GB/s.")] = "",
    source: Source = "",
    tls_authority: Authority = "",
    tls_certificate: Certificate = "",
    tls_key: Key = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the profile as JSON.")] = False,
) -> None:
    """Measure this device; with MODEL, merge its times into the file.

    With MODEL a file that is there must be of this host, engine, device and threads. Without MODEL the file is measured
    anew: of what it held, only the power and price that were declared stay.
    """
    from isthmus.cli.cloud_profile import cloud_profile
    from isthmus.units import parse_duration_s

    budget_s = parse_duration_s(budget, "--budget")
    check_output(output, "--output")
    if source and like is not None:
        raise InvalidInput("--from", "is another profile than --like's", remedy="give one of them")
    for option, given in {"--peak": peak, "--memory": memory}.items():
        if given and like is None:
            remedy = "give --like and the profile to scale, or leave it out"
            raise InvalidInput(option, "is what a profile is scaled to", value=given, remedy=remedy)
    if against is not None and (model is None or source or like is not None):
        raise InvalidInput("--against", "is for measuring a MODEL", remedy="give MODEL, without --from and --like")
    _check_given(context, like=like is not None, source=bool(source), model=model is not None)
    loaded = None if model is None else loaded_model(model, example)
    other = None if against is None or loaded is None else read_profile_of(against, loaded)
    if source:
        tls = tls_files(tls_authority, tls_certificate, tls_key)
        made = _with_declared(output, cloud_profile(source, tls, loaded))
    elif like is not None:
        made = _scaled(read_profile(like), output.stem, (peak, memory), loaded)
        if output.resolve() != like.resolve():
            made = _with_declared(output, made)
    else:
        known = _known(output, device, threads, engine) if loaded is not None else None
        made = _with_declared(output, _measured(known, loaded, other, budget_s, (device, threads, engine)))
    write_output(output, made.to_json(), "--output")
    if as_json:
        print(made.to_json())
        return
    _print_summary(output, made, loaded)
    _print_tables(made, loaded, against=against is not None or bool(source) or like is not None)


def _check_given(context: typer.Context, *, like: bool, source: bool, model: bool) -> None:
    """Raise InvalidInput naming the options that would change nothing, by what else was given."""
    if like or source:
        beside = "--like" if like else "--from"
        refuse_given(context, _OF_MEASURING, f"changes nothing beside {beside}, which measures nothing", "leave it out")
    if not source:
        refuse_given(context, _OF_ASKING, "is for asking a cloud", "give --from, or leave it out")
    if not model:
        refuse_given(context, {"example": "--example"}, "is for inputs of a MODEL", "give MODEL, or leave it out")


def _known(output: Path, device: str, threads: int, engine: str) -> DeviceProfile | None:
    """The profile to merge into, None where there is none yet. Raises InvalidInput for one of anything else."""
    if not output.exists():
        return None
    known = read_profile(output)
    check_mergeable(output, known, device, threads, engine)
    return known


def _measured(
    known: DeviceProfile | None,
    model: Model | None,
    against: DeviceProfile | None,
    budget_s: float,
    where: tuple[str, int, str],
) -> DeviceProfile:
    from isthmus import api

    device_s = budget_s if model is None else min(DEVICE_S, DEVICE_SHARE * budget_s)
    measured = known or api.measure_device(device_s, *where)
    if model is None:
        return measured
    return api.measure_model(model, measured, budget_s if known is not None else budget_s - device_s, against)


def _with_declared(output: Path, measured: DeviceProfile) -> DeviceProfile:
    """The power and price that were declared in the file that is about to be replaced hold on, before any measured."""
    try:
        was = read_profile(output)
    except InvalidProfile:
        return measured  # no file, or none whose declarations could be read
    power = measured.power
    if was.power is not None and not was.power.measured:
        power = was.power
    elif was.power is not None and power is not None:
        power = power.with_radio_of(was.power)
    return replace(measured, power=power, price=was.price)


def _scaled(profile: DeviceProfile, name: str, stated: tuple[str, str], model: Model | None) -> DeviceProfile:
    from isthmus.units import parse_flops_per_s, parse_size_per_s
    from partitioner.scaled_profile import scaled_profile

    peak, memory = stated
    if not peak or not memory:
        raise InvalidInput("--like", "needs the hardware that it is scaled to", remedy="give --peak and --memory")
    return scaled_profile(
        profile,
        name=name,
        flops_per_s=parse_flops_per_s(peak, "--peak"),
        memory_bytes_per_s=parse_size_per_s(memory, "--memory"),
        models=() if model is None else (model,),
    )


def _print_summary(output: Path, made: DeviceProfile, model: Model | None) -> None:
    from isthmus.cli.top_lines import plain

    noise = noise_words(made, None if model is None else model.digest)
    noisy = f", {noise}" if noise else ""
    scaled = f", not measured: scaled from {made.provenance.scaled_from}" if made.provenance.scaled_from else ""
    flops, memory = made.flops_per_s.get("float32", 0.0) / 1e9, made.memory_bytes_per_s / 1e9
    print(f"{output}: {plain(made.name)}, {flops:.1f} GFLOP/s float32, {memory:.1f} GB/s{noisy}{scaled}")
    for line in _compiling(made):
        print(line)


def _compiling(made: DeviceProfile) -> Iterator[str]:
    for footprint in made.footprints:
        if footprint.compile_s:
            yield f"{made.engine}: compiled in {footprint.compile_s:.1f} s, loaded in {footprint.load_s:.2f} s"
    for found in made.engine_differences.values():
        source = "calibration" if found.calibrated else "made-up"
        yield (
            f"{made.engine}: differs from eager by {_at_most(found)}, cosine {found.cosine:.6f}, "
            f"top-1 agreement {found.top1_agreement:.3f} over {found.n} {source} inputs"
        )


def _at_most(found: EngineDifference) -> str:
    from partitioner.plan_table import FARTHEST

    if found.max_abs == FARTHEST:
        return "what is not finite on one side only"
    return f"{found.max_abs:.1e} at most"


def _print_tables(measured: DeviceProfile, model: Model | None, *, against: bool) -> None:
    from rich.console import Console

    from isthmus.cli.profile_tables import device_tables, left_out, model_tables
    from isthmus.cli.whole_model_tables import whole_model_tables

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 120  # a file has no width: no name is cut
    of_model = (*model_tables(measured, model), *whole_model_tables(measured, model)) if model else ()
    for part in (*of_model, *device_tables(measured)):
        console.print()
        console.print(part)
    console.print("\nnot measured:")
    for line in left_out(measured, model, against=against):
        console.print(f"  {line}")
