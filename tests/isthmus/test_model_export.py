"""Models of a configuration as artifacts in the cache."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch

from isthmus.configuration import ModelConfiguration
from isthmus.model_export import export_models
from nodes.cloud_models import configured_models
from nodes.engines.eager import EagerEngine
from nodes.model_loading import load_models
from nodes.settings import CloudSettings, ModelArtifact
from partitioner.artifact import load_artifact


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "isthmus"


def write_onnx(path: Path, weight: float, *, external: bool = False) -> None:
    """y = x + weight."""
    make = onnx.helper
    ends = [make.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    constant = onnx.numpy_helper.from_array(torch.full((1, 4), weight).numpy(), "w")
    graph = make.make_graph([make.make_node("Add", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [constant])
    proto = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    onnx.save(proto, path, save_as_external_data=external, location="weights.bin", size_threshold=0)


def export(folder: Path, source: str) -> tuple[Path, list[str]]:
    """The artifact's folder, and what was said meanwhile."""
    said: list[str] = []
    (artifact,) = export_models((ModelConfiguration(name="m", source=source),), folder, said.append)
    return artifact.path, said


def test_a_file_is_exported_once_and_again_when_it_has_changed(tmp_path: Path) -> None:
    write_onnx(tmp_path / "m.onnx", 1.0)
    first, said = export(tmp_path, "m.onnx")
    assert said == ["exporting m from m.onnx"]
    assert export(tmp_path, "m.onnx") == (first, [])
    write_onnx(tmp_path / "m.onnx", 2.0)
    other, said = export(tmp_path, "m.onnx")
    assert (other != first, len(said)) == (True, 1)


def test_a_file_whose_weights_lie_beside_it_is_exported_each_time(tmp_path: Path) -> None:
    write_onnx(tmp_path / "m.onnx", 1.0, external=True)
    first, _ = export(tmp_path, "m.onnx")
    (tmp_path / "weights.bin").write_bytes(torch.full((1, 4), 2.0).numpy().tobytes())
    assert export(tmp_path, "m.onnx")[0] != first


@pytest.mark.parametrize("source", ["m.onnx", "made_here:model"])
def test_a_damaged_artifact_of_the_cache_is_made_anew(tmp_path: Path, source: str) -> None:
    write_onnx(tmp_path / "m.onnx", 1.0)
    (tmp_path / "made_here.py").write_text(
        "import torch\n\ndef model():\n    torch.manual_seed(0)\n"
        "    return torch.nn.Linear(4, 2).eval(), (torch.zeros(2, 4),)\n"
    )
    artifact, _ = export(tmp_path, source)
    whole = load_artifact(artifact).digest
    (artifact / "graph.json").write_text("{}")
    assert export(tmp_path, source)[0] == artifact
    assert load_artifact(artifact).digest == whole


def test_a_factory_is_called_each_time(tmp_path: Path) -> None:
    (tmp_path / "called.py").write_text(
        "import torch\ncalls = []\n\ndef model():\n    calls.append(1)\n"
        "    return torch.nn.Linear(4, len(calls)).eval(), (torch.zeros(2, 4),)\n"
    )
    assert export(tmp_path, "called:model")[0] != export(tmp_path, "called:model")[0]


def test_other_versions_are_exported_beside_the_current_one_each_once(tmp_path: Path) -> None:
    for name, weight in (("new", 2.0), ("old", 1.0), ("same", 2.0)):
        write_onnx(tmp_path / f"{name}.onnx", weight)
    model = ModelConfiguration(name="m", source="new.onnx", versions=("old.onnx", "same.onnx", "old.onnx"))
    (artifact,) = export_models((model,), tmp_path, lambda _: None)
    digests = [load_artifact(folder).digest for folder in (artifact.folder, *artifact.others)]
    assert len(digests) == len(set(digests)) == 2


@pytest.mark.parametrize("makes", ['ModelSpec(net, inputs, "its_own_name")', "(net, inputs)"])
def test_an_artifact_has_the_name_that_it_is_served_under_whatever_its_maker_calls_it(
    tmp_path: Path, makes: str, request: pytest.FixtureRequest
) -> None:
    module = f"named_{abs(hash(request.node.name))}"
    (tmp_path / f"{module}.py").write_text(
        "import torch\nfrom isthmus import ModelSpec\n\ndef model():\n"
        f"    net, inputs = torch.nn.Linear(4, 2).eval(), (torch.zeros(2, 4),)\n    return {makes}\n"
    )
    folder, _ = export(tmp_path, f"{module}:model")
    assert load_artifact(folder).name == "m"
    settings = CloudSettings((ModelArtifact("m", str(folder)),), "127.0.0.1:0", "127.0.0.1:1")
    served = configured_models(settings, EagerEngine, EagerEngine())
    assert [one.digest for one in served.versions] == [load_models(settings.models)["m"].digest]
