"""What a text can name as a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from isthmus.errors import InvalidModel
from partitioner.artifact import save_artifact
from partitioner.model_source import resolve_model

FACTORIES = """
import torch
from torch import nn
from partitioner.spec import ModelSpec

def pair():
    return nn.Linear(3, 2), (torch.randn(1, 3),)

def my_model():
    return ModelSpec(nn.Linear(3, 2), (torch.randn(1, 3),), input_names=("row",))

def broken():
    raise ValueError("no weights here")

def nothing():
    return None

number = 3
"""


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A folder with a module of factories, named apart for every test: imports are cached."""
    (tmp_path / f"factories_{abs(hash(request.node.name))}.py").write_text(FACTORIES)
    return tmp_path


def factory(folder: Path, name: str) -> str:
    (module,) = folder.glob("factories_*.py")
    return f"{module.stem}:{name}"


def test_a_factory_beside_the_configuration_is_found(folder: Path) -> None:
    model = resolve_model(factory(folder, "my_model"), folder)
    assert (model.name, model.graph.inputs) == ("my-model", ("row",))


def test_a_factory_in_the_current_directory_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert resolve_model(factory(folder, "pair"), name="given").name == "given"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("broken", "no weights here"),
        ("nothing", "returned no model"),
        ("number", "no callable"),
        ("absent", "no callable"),
    ],
)
def test_a_factory_that_makes_no_model_is_refused(folder: Path, name: str, reason: str) -> None:
    with pytest.raises(InvalidModel, match=reason):
        resolve_model(factory(folder, name), folder)


def test_an_artifact_folder_is_loaded(tmp_path: Path, residual: Any) -> None:
    save_artifact(residual.model, tmp_path)
    assert resolve_model(str(tmp_path)).digest == residual.model.digest


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidModel, match="no such file"):
        resolve_model("nowhere/model.pt2")
    with pytest.raises(InvalidModel, match="cannot be imported"):
        resolve_model("no_such_module_at_all:factory")


@pytest.mark.parametrize("name", ["model.txt", "model.pt", "model.onnx", "model.pt2"])
def test_what_is_no_model_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("hello")
    with pytest.raises(InvalidModel, match=name):
        resolve_model(tmp_path / name)


def test_an_empty_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="is not a model folder"):
        resolve_model(tmp_path)
