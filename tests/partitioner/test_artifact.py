"""An artifact gives back the same model, and a damaged or changed one is refused by name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from isthmus.errors import InvalidModel
from partitioner.artifact import load_artifact, save_artifact
from partitioner.front_end import model_from_module
from partitioner.spec import ModelSpec


@pytest.fixture
def folder(residual: Any, tmp_path: Path) -> Path:
    save_artifact(residual.model, tmp_path)
    return tmp_path


def test_round_trip_keeps_bits_digest_graph_and_interface(case: Any, tmp_path: Path) -> None:
    save_artifact(case.model, tmp_path)
    loaded, inputs = load_artifact(tmp_path), case.inputs(3)
    with torch.inference_mode():
        assert all(torch.equal(a, b) for a, b in zip(loaded(*inputs), case.model(*inputs), strict=True))
    assert (loaded.digest, loaded.graph, loaded.interface) == (
        case.model.digest,
        case.model.graph,
        case.model.interface,
    )


def test_weights_keep_their_memory_format(case_named: Any, tmp_path: Path) -> None:
    model = case_named("channels-last").model
    save_artifact(model, tmp_path)
    loaded = load_artifact(tmp_path)
    assert {n: w.stride() for n, w in loaded.weights.items()} == {n: w.stride() for n, w in model.weights.items()}


def test_weights_are_mapped_from_the_file(folder: Path) -> None:
    model = load_artifact(folder)
    mapped = Path("/proc/self/maps").read_text()
    assert model.weights
    assert str(folder / "weights.safetensors") in mapped


def test_calibration_travels(tmp_path: Path) -> None:
    seen = torch.randn(4, 3)
    save_artifact(model_from_module(ModelSpec(nn.Linear(3, 2), (seen,), calibration=(seen,))), tmp_path)
    assert torch.equal(load_artifact(tmp_path).calibration[0], seen)


def test_the_sources_of_calibration_items_travel(tmp_path: Path) -> None:
    seen = torch.randn(4, 3)
    spec = ModelSpec(nn.Linear(3, 2), (seen,), calibration=(seen,), calibration_groups=(0, 0, 7, 7))
    save_artifact(model_from_module(spec), tmp_path)
    assert load_artifact(tmp_path).calibration_groups == (0, 0, 7, 7)
    with pytest.raises(InvalidModel, match="calibration_groups: must be as many as the 4 items"):
        model_from_module(replace(spec, calibration_groups=(0, 1)))


def test_the_truth_of_calibration_items_travels(tmp_path: Path) -> None:
    seen = torch.randn(4, 3)
    spec = ModelSpec(nn.Linear(3, 2), (seen,), calibration=(seen,), calibration_truth=(0, 1, 1, 0))
    save_artifact(model_from_module(spec), tmp_path)
    assert load_artifact(tmp_path).calibration_truth == (0, 1, 1, 0)
    with pytest.raises(InvalidModel, match="calibration_truth: must be as many as the 4 items"):
        model_from_module(replace(spec, calibration_truth=(0, 1)))
    with pytest.raises(InvalidModel, match="calibration_truth: has a class below zero"):
        model_from_module(replace(spec, calibration_truth=(0, 1, -1, 0)))


def test_saving_over_another_model_leaves_nothing_of_it(folder: Path, case_named: Any) -> None:
    model = case_named("dense").model
    save_artifact(model, folder)
    assert load_artifact(folder).digest == model.digest
    assert sorted(p.name for p in folder.iterdir()) == ["graph.json", "spec.json", "weights.safetensors"]


def test_the_digest_depends_on_every_weight(residual: Any) -> None:
    torch.manual_seed(1)
    other = type(residual.module)().eval()
    other.load_state_dict(residual.module.state_dict())
    assert model_from_module(other, residual.inputs(1), "residual").digest == residual.model.digest
    with torch.no_grad():
        other.head.bias[0] += 1
    assert model_from_module(other, residual.inputs(1), "residual").digest != residual.model.digest


@pytest.mark.parametrize("name", ["graph.json", "spec.json", "weights.safetensors"])
def test_a_missing_or_broken_file_is_named(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(InvalidModel, match=name):
        load_artifact(folder)
    (folder / name).unlink()
    with pytest.raises(InvalidModel, match=name):
        load_artifact(folder)


@pytest.mark.parametrize("name", ["graph.json", "weights.safetensors"])
def test_one_changed_byte_is_noticed(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-3] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(InvalidModel, match=name):
        load_artifact(folder)


def test_a_changed_interface_is_noticed(folder: Path) -> None:
    spec = json.loads((folder / "spec.json").read_text())
    spec["interface"]["max_batch"] = 7
    (folder / "spec.json").write_text(json.dumps(spec))
    with pytest.raises(InvalidModel, match="digest"):
        load_artifact(folder)


@pytest.mark.parametrize("text", ["[]", "{}", '{"format": 2}', "[" * 100_000, '"text"', "NaN"])
def test_json_that_is_no_artifact_is_refused(folder: Path, text: str) -> None:
    (folder / "spec.json").write_text(text)
    with pytest.raises(InvalidModel, match=r"spec\.json"):
        load_artifact(folder)
