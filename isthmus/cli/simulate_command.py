"""`isthmus simulate`: a scenario, or a sweep of it, answered by simulation."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus.cli.output_file import check_folder, write_folder
from isthmus.errors import InvalidInput

if TYPE_CHECKING:
    from simulations.answers.prices import Prices
    from simulations.answers.slo import Slo
    from simulations.answers.summary import Summary
    from simulations.replications import Run, Runs
    from simulations.scenario.reading import ScenarioFile
    from simulations.scenario.sweep import SweepPoint

__all__ = ["simulate"]


def simulate(
    scenario: Annotated[Path | None, typer.Argument(metavar="SCENARIO.yaml", help="What to simulate.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder for answers, page, trace and runs; runs found there are kept."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Set a field, like cloud.replicas=4; repeatable."),
    ] = None,
    sweeps: Annotated[
        list[str] | None,
        typer.Option(
            "--sweep", metavar="FIELD=VALUES", help="Go through values, like cloud.replicas=2,4,8; repeatable."
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; as many as cores if left out.")] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of scenario files, and stop.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answers as JSON.")] = False,
) -> None:
    """Simulate SCENARIO.yaml: its fleet under load, decided by the live policies, admission, batching and autoscaling.

    Writes answers.json, report.html and trace.json (for ui.perfetto.dev) to the folder, one of each for every point of
    a sweep.
    """
    from simulations.replications import Runs
    from simulations.scenario.reading import read_scenario, scenario_schema
    from simulations.scenario.sweep import parse_setting, parse_values, sweep_points, with_settings

    if schema:
        print(json.dumps(scenario_schema(), indent=1))
        return
    if scenario is None or output is None:
        missing = "SCENARIO.yaml" if scenario is None else "--output"
        raise InvalidInput(missing, "is missing", remedy="write it like: isthmus simulate shop.yaml -o shop")
    check_folder(output, "--output")
    file = read_scenario(scenario)
    if settings:
        file = with_settings(file, [parse_setting(one, "--set") for one in settings])
    points = sweep_points(file, dict(parse_values(one, "--sweep") for one in sweeps or ()))
    runs = Runs(output / "runs", workers or len(os.sched_getaffinity(0)))
    write_folder(output, "--output", lambda folder: _simulate(points, file, runs, folder))
    _answer(points, file, runs, output, as_json=as_json)


def _simulate(points: tuple[SweepPoint, ...], file: ScenarioFile, runs: Runs, folder: Path) -> None:
    from simulations.fleet import Fleet

    folder.mkdir(parents=True, exist_ok=True)
    wanted: dict[Path, Run] = {}
    for point in points:
        Fleet(point.scenario, file.folder)  # what is wrong with any point is said before the first run
        _check_answers(point)
        wanted.update({run.file: run for run in runs.of(point.scenario, file.folder)})
    missing = runs.missing(tuple(wanted.values()))
    _with_progress(runs, missing, len(wanted))


def _with_progress(runs: Runs, missing: tuple[Run, ...], wanted: int) -> None:
    """A bar on a terminal; elsewhere nothing."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("simulating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    quiet = not sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as progress:
        bar = progress.add_task("", total=wanted, completed=wanted - len(missing))
        runs.simulate(missing, lambda _: progress.advance(bar))


def _answer(points: tuple[SweepPoint, ...], file: ScenarioFile, runs: Runs, folder: Path, *, as_json: bool) -> None:
    from isthmus.cli.simulation_tables import print_answers

    answered: list[tuple[SweepPoint, Summary]] = []
    for point in points:
        place = folder / point.folder if point.settings else folder
        answers = _point(point, file, runs)
        write_folder(place, "--output", partial(_write, answers, runs.of(point.scenario, file.folder)[0]))
        answered.append((point, answers))
    told = [_told(point, answers) for point, answers in answered]
    if file.scenario.sweep or len(points) > 1:
        text = json.dumps({"points": told}, indent=1, sort_keys=True) + "\n"
        write_folder(folder, "--output", lambda where: _write_text(where / "answers.json", text))
    if as_json:
        print(json.dumps({"points": told} if len(points) > 1 else told[0]["answers"], indent=1, sort_keys=True))
    else:
        print_answers(answered, folder)


def _point(point: SweepPoint, file: ScenarioFile, runs: Runs) -> Summary:
    from simulations.answers.summary import summary
    from simulations.run_record import RunRecord

    records = [RunRecord.load(run.file) for run in runs.of(point.scenario, file.folder)]
    return summary(records, _slo(point), _prices(point))


def _check_answers(point: SweepPoint) -> None:
    """What would be found out when its runs are over: raises InvalidConfiguration."""
    from simulations.capacity.candidate import CLOUD

    _slo(point)
    prices = _prices(point)
    if prices is not None:
        prices.of_replica(CLOUD)
        for section in point.scenario.edges:
            prices.of_edge(section.name)


def _slo(point: SweepPoint) -> Slo | None:
    from simulations.answers.slo import Slo

    promised = point.scenario.slo
    return None if promised is None else Slo(promised.within, promised.share)


def _prices(point: SweepPoint) -> Prices | None:
    from simulations.answers.prices import read_prices

    return None if point.scenario.prices is None else read_prices(Path(point.scenario.prices))


def _write(answers: Summary, first: Run, where: Path) -> None:
    from simulations.report.page import report_page
    from simulations.report.trace_events import trace_events
    from simulations.run_record import RunRecord

    where.mkdir(parents=True, exist_ok=True)
    _write_text(where / "answers.json", answers.to_json())
    _write_text(where / "report.html", report_page(answers))
    _write_text(where / "trace.json", trace_events(RunRecord.load(first.file)).text)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _told(point: SweepPoint, answers: Summary) -> dict[str, Any]:
    return {"settings": dict(point.settings), "answers": json.loads(answers.to_json())}
