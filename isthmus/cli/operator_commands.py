"""What operators ask of a running edge: why a request went where it went, which policies decide, and to change them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from isthmus.cli.connection_options import DEFAULT_SERVER, Authority, Certificate, Key, Server, tls_files
from isthmus.cli.policy_setting import policy_setting
from isthmus.errors import IsthmusError

if TYPE_CHECKING:
    from nodes.steering import PolicySetting, Scope, ShadowReport, Steering
    from nodes.tls_files import TlsFiles
    from nodes.transport.operator_client import OperatorClient

__all__ = ["canary", "explain", "notices", "remeasure", "set_policy", "shadow", "show", "unset_policy"]

OFF = "off"
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Name = Annotated[str, typer.Argument(metavar="POLICY", help="One of `isthmus policy list`.")]
NameOrOff = Annotated[str, typer.Argument(metavar="POLICY|off", help="One of `isthmus policy list`, or `off`.")]
Options = Annotated[
    list[str] | None, typer.Option("--option", "-O", metavar="KEY=VALUE", help="An option of the policy; repeatable.")
]
Model = Annotated[str, typer.Option("--model", help="Only for requests of this model.")]
RequestClass = Annotated[
    str, typer.Option("--class", help="Only for requests whose parameter isthmus_class is this word.")
]
T = TypeVar("T")


def explain(
    request_id: Annotated[str, typer.Argument(metavar="[REQUEST_ID]", help="As answers carry it; the newest.")] = "",
    log: Annotated[
        Path | None,
        typer.Option(help="A decision log, its folder or a file of it, to be read in place of asking an edge."),
    ] = None,
    server: Server = DEFAULT_SERVER,
    tls_authority: Authority = "",
    tls_certificate: Certificate = "",
    tls_key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Say why a request went where it went: every plan's predicted parts, what was chosen, what really happened."""
    from isthmus.cli.explanation import explanation_lines

    if log is not None:
        from scheduler.logged_explanation import logged_explanation  # costly, and not needed to ask an edge

        told = logged_explanation(log, request_id)
    else:
        tls = tls_files(tls_authority, tls_certificate, tls_key)
        told = json.loads(_ask(server, tls, lambda client: client.explain(request_id)))
    print(json.dumps(told) if as_json else "\n".join(explanation_lines(told)))


def remeasure(
    server: Server = DEFAULT_SERVER,
    tls_authority: Authority = "",
    tls_certificate: Certificate = "",
    tls_key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Have an edge measure its side of all plans again, as soon as no request is there. Returns at once.

    An edge does so by itself when a stage has long taken another time than was measured (`isthmus top` says so).
    """
    tls = tls_files(tls_authority, tls_certificate, tls_key)
    ordered = _ask(server, tls, lambda client: client.remeasure())
    said = "ordered; it begins when no request is there" if ordered else "under way already"
    print(json.dumps({"server": server, "ordered": ordered}) if as_json else f"{server}: {said}")


def show(
    server: Server = DEFAULT_SERVER,
    tls_authority: Authority = "",
    tls_certificate: Certificate = "",
    tls_key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Show the policies in force on an edge, the canary, and how the shadow compares."""
    tls = tls_files(tls_authority, tls_certificate, tls_key)
    steering, report = _ask(server, tls, lambda client: client.steering())
    _print(steering, report, as_json)


def set_policy(
    policy: Name,
    option: Options = None,
    model: Model = "",
    request_class: RequestClass = "",
    server: Server = DEFAULT_SERVER,
    tls_authority: Authority = "",
    tls_certificate: Certificate = "",
    tls_key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Let another policy decide from the next request on; for all requests, or those of a model or a class."""
    setting, scope = policy_setting(policy, option), _scope(model, request_class)
    tls = tls_files(tls_authority, tls_certificate, tls_key)
    _print(_ask(server, tls, lambda client: client.set_policy(scope, setting)), None, as_json)


def unset_policy(
    model: Model = "",
    request_class: RequestClass = "",
    server: Server = DEFAULT_SERVER,
    tls_authority: Authority = "",
    tls_certificate: Certificate = "",
    tls_key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Take back a policy that was set for a model or a class."""
    scope = _scope(model, request_class)
    tls = tls_files(tls_authority, tls_certificate, tls_key)
    _print(_ask(server, tls, lambda client: client.unset_policy(scope)), None, as_json)


def shadow(
    policy: NameOrOff,
    option: Options = None,
    server: Server = DEFAULT_SERVER,
    tls_authority: Authority = "",
    tls_certificate: Certificate = "",
    tls_key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Let a policy decide beside the one in force: logged and compared, never acted on."""
    setting = None if policy == OFF else policy_setting(policy, option)
    tls = tls_files(tls_authority, tls_certificate, tls_key)
    _print(_ask(server, tls, lambda client: client.set_shadow(setting)), None, as_json)


def canary(
    policy: NameOrOff,
    share: Annotated[float, typer.Option(help="The share of the requests, above 0 and up to 1.")] = 0.05,
    option: Options = None,
    server: Server = DEFAULT_SERVER,
    tls_authority: Authority = "",
    tls_certificate: Certificate = "",
    tls_key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Let a policy decide for a share of the requests, in place of the one in force."""
    from nodes.steering import Canary

    wanted = None if policy == OFF else Canary(policy_setting(policy, option), share)
    tls = tls_files(tls_authority, tls_certificate, tls_key)
    _print(_ask(server, tls, lambda client: client.set_canary(wanted)), None, as_json)


def notices(server: str, tls: TlsFiles | None) -> list[dict[str, str]] | None:
    """What needs attention on the edge at `server`; None where that is not told: on another machine, or it is older."""
    try:
        sight = json.loads(_ask(server, tls, lambda client: client.sight()))
    except IsthmusError:
        return None
    said: list[dict[str, str]] = sight["attention"]
    return said


def _ask(server: str, tls: TlsFiles | None, ask: Callable[[OperatorClient], Awaitable[T]]) -> T:
    from nodes.transport.operator_client import OperatorClient

    async def run() -> T:
        client = OperatorClient(server, tls)
        try:
            return await ask(client)
        finally:
            await client.close()

    return asyncio.run(run())


def _scope(model: str, request_class: str) -> Scope:
    from nodes.steering import Scope

    return Scope(model, request_class)


def _print(steering: Steering, report: ShadowReport | None, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_plain(steering, report)))
        return
    by_operator = steering.by_operator
    for scope, policy in steering.policies.items():
        print(f"{scope}: {policy}{_instead(steering, scope) if scope in by_operator else ''}")
    for scope in (one for one in by_operator if one not in steering.policies):
        print(f"{scope}: no policy of its own{_instead(steering, scope)}")
    if steering.canary is not None:
        print(f"canary, {steering.canary.share:.3g} of the requests: {steering.canary.policy}")
    if steering.shadow is not None:
        print(f"shadow: {steering.shadow}" + (f"; {_compared(report)}" if report is not None else ""))


def _instead(steering: Steering, scope: Scope) -> str:
    configured = steering.configured.get(scope)
    return f" (set by an operator; the configuration file says {configured or 'nothing'}, and counts when it is saved)"


def _compared(report: ShadowReport) -> str:
    if not report.decisions:
        return "no request yet"
    ran = report.decisions - report.failed
    said = f"of {report.decisions} requests the same plan for {report.agreed / report.decisions:.0%}"
    if report.failed:
        said += f", none found for {report.failed}"
    if not ran:
        return said
    saved_ms = report.saved_s / ran * 1e3
    return f"{said}, predicted {abs(saved_ms):.1f} ms {'quicker' if saved_ms >= 0 else 'slower'} a request"


def _plain(steering: Steering, report: ShadowReport | None) -> Mapping[str, Any]:
    return {
        "policies": [
            {"model": scope.model, "class": scope.request_class, **_policy(policy)}
            for scope, policy in steering.policies.items()
        ],
        "by_operator": _by_operator(steering),
        "canary": steering.canary and {**_policy(steering.canary.policy), "share": steering.canary.share},
        "shadow": steering.shadow and _policy(steering.shadow),
        "shadow_report": asdict(report) if report is not None and steering.shadow is not None else None,
    }


def _by_operator(steering: Steering) -> list[dict[str, Any]] | None:
    """Beside each what the configuration file says, null for nothing; None where an edge of before does not tell."""
    if not steering.configured:
        return None
    configured = {scope: steering.configured.get(scope) for scope in steering.by_operator}
    return [
        {"model": scope.model, "class": scope.request_class, "configured": said and _policy(said)}
        for scope, said in configured.items()
    ]


def _policy(policy: PolicySetting) -> dict[str, Any]:
    return {"policy": policy.name, "options": dict(policy.options)}
