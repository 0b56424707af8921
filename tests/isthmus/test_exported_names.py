"""The public namespace: every name is there, sorted, and importing the package is cheap."""

from __future__ import annotations

import subprocess
import sys

import isthmus


def test_every_exported_name_is_there_and_sorted() -> None:
    assert sorted(isthmus.__all__) == list(isthmus.__all__)
    for name in isthmus.__all__:
        assert getattr(isthmus, name) is not None


def test_importing_the_package_loads_no_heavy_library() -> None:
    code = "import sys, isthmus; print(sorted({'torch', 'ray', 'grpc', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
