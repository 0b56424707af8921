"""An application of Serve that has started, cannot start, or takes too long."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from isthmus.errors import Unavailable
from scheduler.serve.application_start import until_running


def serve_that_says(status: str, message: str = "") -> Any:
    async def asked() -> Any:
        return SimpleNamespace(
            applications={"cloud": SimpleNamespace(status=status, message=message, deployments={})},
        )

    return asked


async def test_an_application_that_runs_has_started() -> None:
    await until_running("cloud", 1.0, "cloud.start_timeout", serve_that_says("RUNNING"))


async def test_one_that_takes_too_long_says_what_allows_more() -> None:
    with pytest.raises(Unavailable, match=r"not running within 0\.2 s; .* raise cloud\.start_timeout"):
        await until_running("cloud", 0.2, "cloud.start_timeout", serve_that_says("DEPLOYING"))


async def test_one_that_cannot_start_says_why() -> None:
    failed = serve_that_says("DEPLOY_FAILED", "Traceback\nisthmus.errors.PortInUse: cloud.listen is taken\n")
    with pytest.raises(Unavailable, match=r"cloud application: PortInUse: cloud\.listen is taken"):
        await until_running("cloud", 1.0, "cloud.start_timeout", failed)
