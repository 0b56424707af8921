"""The versions that the roll-out benchmark makes of this project's code are what it takes them for."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import nodes.cloud_host
from benchmarks.rolled_launcher import broken, upgraded

HOST = Path(nodes.cloud_host.__file__).read_text()


def test_upgraded_code_differs_in_the_ids_of_replicas_alone() -> None:
    before, after = HOST.splitlines(), upgraded(HOST, "next-").splitlines()
    (changed,) = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert ast.unparse(ast.parse(changed[1].strip())) == (
        "replica_id = settings.id_prefix + 'next-' + uuid.uuid4().hex[:12]"
    )


def test_a_broken_version_is_code_that_raises_before_anything_starts() -> None:
    made = broken(upgraded(HOST, "next-"))
    (start,) = [node for node in ast.walk(ast.parse(made)) if getattr(node, "name", "") == "start"]
    assert isinstance(start, ast.AsyncFunctionDef)
    assert any(isinstance(line, ast.Raise) for line in start.body[:3])


def test_code_that_has_changed_since_is_told_of() -> None:
    with pytest.raises(ValueError, match="is not there once: replica_id"):
        upgraded(upgraded(HOST, "a-"), "b-")
