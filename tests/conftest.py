"""How tests are shared out between two processes (pytest-xdist's `--dist loadgroup`), and what CI draws."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
import torch
from hypothesis import settings
from hypothesis.internal.conjecture import providers

# They start processes, Ray among them, that use both cores and fixed ports: one after the other, in one worker.
_ALONE = ("system", "benchmarks")


def pytest_configure(config: pytest.Config) -> None:
    """A worker computes on the core that is its own: two that take both wait for each other at every op's end.

    CI's examples depend on the tests alone: what fails there fails here, and what passed here passes there.

    hypothesis also draws the constants it finds in whatever modules are imported by then, so that the examples of a
    test would change with the tests its worker ran before and with any line of the code. New examples are drawn by
    everybody else's runs. The name is private to hypothesis, whose version is therefore pinned.
    """
    if hasattr(config, "workerinput"):
        torch.set_num_threads(1)
    if settings.default is not None and settings.default.derandomize:
        providers._get_local_constants = lambda: providers._local_constants


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Commands that run in a test's process say what is logged there, for all tests after it."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file's tests stay together, and so share its fixtures."""
    here = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(here).parts[0]
        group = "processes" if folder in _ALONE else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
