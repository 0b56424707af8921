"""`isthmus doctor`: whether this machine, its files and its peers are fit to serve, and what to do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from isthmus.doctor.finding import Finding

__all__ = ["doctor"]


def doctor(
    config: Annotated[
        Path | None, typer.Argument(metavar="[CONFIG]", help="The configuration file; without one, the machine alone.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check threads, clocks, TLS, ports, the fleet, versions, disks and limits, and say what to do.

    Nothing need run. Of a file with one of the sections `edge` and `cloud` only that side is looked at. Exit 1 when a
    check fails.
    """
    from isthmus.configuration import read_configuration
    from isthmus.doctor.examination import examine

    configuration = None if config is None else read_configuration(config)
    findings = examine(configuration, Path.cwd() if config is None else config.resolve().parent)
    failed = any(finding.level == "fail" for finding in findings)
    if as_json:
        print(json.dumps({"ok": not failed, "findings": [asdict(finding) for finding in findings]}))
    else:
        print("\n".join(_lines(findings)))
    if failed:
        raise typer.Exit(1)


def _lines(findings: Sequence[Finding]) -> list[str]:
    lines = [f"{one.level:4}  {one.check}: {one.message}" + (f"; {one.remedy}" * bool(one.remedy)) for one in findings]
    counts = {level: sum(one.level == level for one in findings) for level in ("ok", "warn", "fail")}
    return [*lines, ", ".join(f"{count} {level}" for level, count in counts.items())]
