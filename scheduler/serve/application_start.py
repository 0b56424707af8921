"""Whether an application of Serve has started, and why not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from isthmus.errors import Unavailable

__all__ = ["POLL_S", "until_running"]

POLL_S = 0.1


async def until_running(name: str, timeout_s: float, key: str, status: Callable[[], Awaitable[Any]]) -> None:
    """Return when the application runs. key: of the configuration, which says the timeout. status: Serve's. Raises
    Unavailable with the constructor's error when it cannot."""
    for _ in range(round(timeout_s / POLL_S)):
        application = (await status()).applications[name]
        if application.status == "RUNNING":
            return
        if application.status in ("DEPLOY_FAILED", "UNHEALTHY"):
            raise Unavailable(f"{name} application: {_last_line(application)}")
        await asyncio.sleep(POLL_S)
    late = f"{name} application: not running within {timeout_s:g} s"
    raise Unavailable(f"{late}; where its models take longer, raise {key}")


def _last_line(application: Any) -> str:
    """The constructor's own error: the last line that names one of ours, or the last line at all."""
    messages = [application.message, *(d.message for d in application.deployments.values())]
    lines = [line.strip() for message in messages for line in message.splitlines() if line.strip()]
    ours = [line.removeprefix("isthmus.errors.") for line in lines if line.startswith("isthmus.errors.")]
    last: str = (ours or lines or ["no reason given"])[-1]
    return last
