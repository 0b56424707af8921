"""How tests are shared out between two processes (pytest-xdist's `--dist loadgroup`)."""

from __future__ import annotations

from pathlib import Path

import pytest

# They start processes, Ray among them, that use both cores and fixed ports: one after the other, in one worker.
_ALONE = ("system", "benchmarks")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file's tests stay together, and so share its fixtures."""
    here = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(here).parts[0]
        group = "processes" if folder in _ALONE else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
