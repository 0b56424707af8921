"""`isthmus import --interface`: what a file of a model does not say of its inputs and outputs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from isthmus.cli.interface_file import read_interface
from isthmus.cli.main import app
from isthmus.errors import InvalidInput, IsthmusError
from partitioner.artifact import load_artifact
from partitioner.front_end import model_from_module
from partitioner.model import Model
from partitioner.spec import ImagePreprocessing

PICTURE = "{height: 8, width: 8, resize_shorter: 10, mean: [0.5, 0.4, 0.3], std: [0.2, 0.2, 0.2]}"


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()


@pytest.fixture(scope="module")
def model(network: nn.Module) -> Model:
    return model_from_module(network, (torch.randn(2, 3, 8, 8),), "plain")


def written(folder: Path, text: str) -> Path:
    path = folder / "interface.yaml"
    path.write_text(text)
    return path


def test_a_pt2_file_gets_a_picture_and_classes_by_one_command(network: nn.Module, tmp_path: Path) -> None:
    batched = ({0: torch.export.Dim("batch", min=1)},)
    torch.export.save(
        torch.export.export(network, (torch.randn(2, 3, 8, 8),), dynamic_shapes=batched), tmp_path / "net.pt2"
    )
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    told = f"inputs: {{input: {PICTURE}}}\noutputs: {{OUT: {{labels: classes.txt, top_k: 1}}}}\nmax_batch: 4\n"
    words = ["import", str(tmp_path / "net.pt2"), "-o", str(tmp_path / "made")]
    assert CliRunner().invoke(app, words).exit_code == 0
    plain = load_artifact(tmp_path / "made")
    (given,) = plain.interface.outputs
    path = written(tmp_path, told.replace("OUT", given.name))
    done = CliRunner().invoke(app, [*words[:-1], str(tmp_path / "more"), "--interface", str(path)])
    assert done.exit_code == 0, done.output
    made = load_artifact(tmp_path / "more")
    assert made.interface.inputs[0].preprocessing == ImagePreprocessing(
        8, 8, 10, mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2)
    )
    assert (made.interface.outputs[0].labels, made.interface.outputs[0].top_k) == (("cat", "dog"), 1)
    assert made.interface.max_batch == 4
    assert made.digest != plain.digest


def test_what_is_not_said_stays(model: Model, tmp_path: Path) -> None:
    assert read_interface(written(tmp_path, "max_batch: 3"), model).inputs == model.interface.inputs


def test_whether_an_edge_may_do_without_the_cloud(model: Model, tmp_path: Path) -> None:
    assert read_interface(written(tmp_path, "max_batch: 3"), model).autonomy == "full"
    assert read_interface(written(tmp_path, "autonomy: cloud-required"), model).autonomy == "cloud-required"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"inputs: {{picture: {PICTURE}}}", "--interface, inputs.picture: is not known"),
        ("inputs: {IN: {height: 8, width: 8, resize: 9}}", "--interface, inputs.IN.resize: is not known"),
        (
            "inputs: {IN: {height: eight, width: 8, resize_shorter: 9}}",
            "--interface, inputs.IN.height: input should be",
        ),
        ("inputs: {IN: {height: 8, width: 8}}", "--interface, inputs.IN.resize_shorter: "),
        ("inputs: {IN: {height: 9, width: 9, resize_shorter: 9}}", "--interface, inputs.IN: makes float32 [3, 9, 9]"),
        (
            "inputs: {IN: {height: 8, width: 8, resize_shorter: 7}}",
            "preprocessing.resize_shorter: is not valid (got 7)",
        ),
        ("outputs: {OUT: {labels: none.txt}}", "--interface, outputs.OUT.labels: cannot be read"),
        ("outputs: {OUT: {labels: [a, 1]}}", "--interface, outputs.OUT.labels.1: input should be a valid string"),
        ("inputs: [1]", "--interface, inputs: is not a mapping"),
        ("labels: [a]", "--interface, labels: is not known"),
        ("max_batch: 0", "max_batch: is not valid (got 0)"),
        ("max_batch: [1", "is not YAML"),
        ("autonomy: some", "autonomy: is not valid (got 'some')"),
    ],
)
def test_what_does_not_fit_is_named(model: Model, tmp_path: Path, text: str, said: str) -> None:
    names = {"IN": model.interface.inputs[0].name, "OUT": model.interface.outputs[0].name}
    for short, name in names.items():
        text, said = text.replace(short, name), said.replace(short, name)
    with pytest.raises(IsthmusError) as raised:
        read_interface(written(tmp_path, text), model)
    assert said in str(raised.value)


def test_an_input_of_numbers_is_no_picture(tmp_path: Path) -> None:
    numbers = model_from_module(nn.Linear(4, 2).eval(), (torch.randn(2, 4),), "numbers")
    text = f"inputs: {{{numbers.interface.inputs[0].name}: {PICTURE}}}"
    with pytest.raises(InvalidInput, match="makes float32"):
        read_interface(written(tmp_path, text), numbers)
