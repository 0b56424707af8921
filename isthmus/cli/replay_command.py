"""`isthmus replay`: yesterday's decision log under other policies or options, with the same links and arrivals."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus.cli.option_names import option_names
from isthmus.cli.policy_setting import policy_options
from isthmus.errors import InvalidRequest, NotFound

if TYPE_CHECKING:
    from nodes.steering import PolicySetting, Steering
    from simulations.replay.logged_run import LoggedRun

__all__ = ["replay"]


@option_names({"policy": "--policy", "policy.": "--options"})
def replay(
    log: Annotated[
        Path, typer.Argument(metavar="LOG", help="Folder of a decision log (edge.decision_log), or a file.")
    ],
    policy: Annotated[
        list[str] | None,
        typer.Option("--policy", metavar="POLICY", help="What to run it under besides; repeatable. See `policy list`."),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--options",
            metavar="KEY=VALUE",
            help="An option of the policy; without one, of that which ran last for all requests; repeatable.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the error bars' resampling.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run a decision log again: under the policy that ran, to see how near that comes to what really happened, and
    under others, with the same arrivals, links and machines."""
    from isthmus.cli.replay_tables import replay_lines
    from simulations.replay.answer import replay as replay_log
    from simulations.replay.logged_run import logged_run

    if options and len(policy or ()) > 1:
        raise InvalidRequest(
            "--options", "go with one policy", value=" ".join(options), remedy="give one --policy a call"
        )
    run = logged_run(_lines(log))
    answer = replay_log(run, _settings(run, policy or (), options or ()), seed)
    if as_json:
        print(json.dumps(_plain(asdict(answer)), allow_nan=False))
    else:
        print("\n".join(replay_lines(answer)))


def _lines(log: Path) -> Iterator[Mapping[str, Any]]:
    from scheduler.decision_replay import log_lines, log_paths

    if not log.exists():
        raise NotFound(f"LOG: there is no {log}; name the folder that edge.decision_log.folder names")
    for path in log_paths(log):
        yield from log_lines(path)


def _settings(run: LoggedRun, names: Sequence[str], options: Sequence[str]) -> list[PolicySetting] | list[Steering]:
    """The policies to run it under: those named, or what was in force in the end, the policy for all requests with
    other options. Those of models and classes stay: they are others', with options of their own."""
    from nodes.steering import EVERYTHING, PolicySetting
    from simulations.replay.policy_history import policy_history

    given = policy_options(options, "--options")
    if not names and given:
        steering = policy_history(run.requests)[-1].steering
        ran = steering.policies[EVERYTHING]
        return [steering.with_policy(EVERYTHING, PolicySetting(ran.name, {**ran.options, **given}))]
    return [PolicySetting(name, given) for name in names]


def _plain(value: Any) -> Any:
    """For JSON: what is not known (nan) is null."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and value != value else value
