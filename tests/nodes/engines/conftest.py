"""One cache of compiled code for all tests of a run, so that nothing is compiled twice."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for engines that compile."""
    return tmp_path_factory.mktemp("compiled")
