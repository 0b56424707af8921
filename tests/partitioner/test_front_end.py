"""What becomes a Model, and what is refused with a reason and a remedy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from isthmus.errors import InvalidModel
from partitioner.front_end import model_from_module, model_from_pt2
from partitioner.graph import Dimension
from partitioner.spec import ImagePreprocessing, ModelSpec


class Does(nn.Module):
    """A module of one function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs)


class Counts(nn.Module):
    """Keeps state in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Tensor
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * 2


def branches(x: Tensor) -> Tensor:
    return x * 2 if x.sum() > 0 else x - 1


def branches_on_batch(x: Tensor) -> Tensor:
    return x * 2 if x.shape[0] > 1 else x - 1


REFUSED: dict[str, tuple[nn.Module, str]] = {
    "buffer that changes": (Counts(), "is changed by the model"),
    "dropout in training": (nn.Sequential(nn.Linear(3, 3), nn.Dropout()), "random|other results"),
    "random noise": (Does(lambda x: x + torch.rand_like(x)), "rand_like.*is not among the operators"),
    "branch on data": (Does(branches), "branches on the data|cannot be exported"),
    "branch on the batch": (Does(branches_on_batch), "batch"),
    "size from data": (Does(lambda x: x[x > 0]), "not a fixed multiple of the batch|depend on the data|batch"),
    "fixed batch": (Does(lambda x: x.reshape(2, 3) + 1), "batch"),
    "numpy": (Does(lambda x: torch.from_numpy(x.numpy() * 2)), "InvalidModel|cannot be exported|leaves torch|fixes"),
    "layout read": (Does(lambda x: x.as_strided((x.shape[0], 1), (3, 1)) + 1), "as_strided"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_cut_is_refused_with_the_cause(what: str) -> None:
    module, reason = REFUSED[what]
    with pytest.raises(InvalidModel, match=reason) as caught:
        model_from_module(module, (torch.randn(2, 3),))
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("examples", "reason"),
    [
        ((), "are missing"),
        ((torch.tensor(1.0),), "has no batch dimension"),
        ((torch.zeros(2, 3), torch.zeros(3, 3)), "different batch sizes"),
        (([1.0],), "is not a tensor"),
        ((torch.zeros(2, 9),), "fails on its example inputs"),
    ],
)
def test_bad_examples_are_refused(examples: Any, reason: str) -> None:
    with pytest.raises(InvalidModel, match=reason):
        model_from_module(nn.Linear(3, 3), examples)


def test_something_that_is_no_module_is_refused() -> None:
    with pytest.raises(InvalidModel, match=r"is not a torch\.nn\.Module"):
        model_from_module("model")  # type: ignore[arg-type]


def test_a_batch_of_one_as_example_gives_a_dynamic_batch() -> None:
    model = model_from_module(nn.Linear(3, 4), (torch.randn(1, 3),))
    assert model.graph.tensors[model.graph.outputs[0]].shape == (Dimension(1, 0), Dimension(0, 4))


def test_a_spec_says_whether_an_edge_may_do_without_the_cloud() -> None:
    spec = ModelSpec(nn.Linear(3, 2).eval(), (torch.zeros(2, 3),))
    tied = replace(spec, autonomy="cloud-required")
    assert [model_from_module(one).interface.autonomy for one in (spec, tied)] == ["full", "cloud-required"]


def test_dict_outputs_keep_their_names_and_nested_ones_their_order(case_named: Any) -> None:
    model = model_from_module(Does(lambda x: {"b": x + 1, "a": x * 2}), (torch.randn(2, 3),))
    assert [o.name for o in model.interface.outputs] == ["b", "a"]
    assert [o.name for o in case_named("multi-input").model.interface.outputs] == ["output_0", "output_1", "output_2"]


def test_a_spec_names_inputs_outputs_preprocessing_and_labels() -> None:
    picture = ImagePreprocessing(height=4, width=4, resize_shorter=5)
    module = nn.Sequential(nn.Conv2d(3, 2, 4), nn.Flatten())
    spec = ModelSpec(
        module,
        (torch.randn(1, 3, 4, 4),),
        "pets",
        ("image",),
        ("logits",),
        {"image": picture},
        {"logits": ("cat", "dog")},
    )
    model = model_from_module(spec)
    assert model.graph.inputs == ("image",)
    assert model.interface.inputs[0].preprocessing == picture
    assert model.interface.outputs[0].softmax
    assert model.interface.outputs[0].top_k == 2


@pytest.mark.parametrize(
    "wrong",
    [{"input_names": ("a b",)}, {"input_names": ("a", "b")}, {"output_names": ("a", "b")}, {"labels": {"z": ("a",)}}],
)
def test_wrong_names_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidModel):
        model_from_module(ModelSpec(nn.Linear(3, 4), (torch.randn(2, 3),), **wrong))


def test_a_pt2_file_gives_the_same_model_as_its_module(tmp_path: Path, residual: Any) -> None:
    inputs = residual.inputs(2)
    shapes = ({0: torch.export.Dim.DYNAMIC},)
    torch.export.save(torch.export.export(residual.module, inputs, dynamic_shapes=shapes), tmp_path / "residual.pt2")
    model = model_from_pt2(tmp_path / "residual.pt2")
    with torch.inference_mode():
        assert torch.equal(model(*inputs)[0], residual.module(*inputs))
    assert (model.name, len(model.graph.ops)) == ("residual", len(residual.model.graph.ops))


def test_a_pt2_file_with_a_fixed_batch_is_refused(tmp_path: Path) -> None:
    torch.export.save(torch.export.export(nn.Linear(3, 4), (torch.randn(2, 3),)), tmp_path / "fixed.pt2")
    with pytest.raises(InvalidModel, match="batch fixed to 2"):
        model_from_pt2(tmp_path / "fixed.pt2")


def test_whole_model_equals_the_module_bit_for_bit(case: Any) -> None:
    inputs = case.inputs(5)
    with torch.inference_mode():
        expected = torch.utils._pytree.tree_leaves(case.module(*(t.clone() for t in inputs)))
        found = case.model(*inputs)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("name", ["views", "batch-sizes", "multi-input", "early-output"])
def test_a_pt2_file_with_constants_sizes_and_several_results_passes(tmp_path: Path, case_named: Any, name: str) -> None:
    case = case_named(name)
    inputs = case.inputs(3)
    shapes = tuple({0: torch.export.Dim.DYNAMIC} for _ in inputs)
    with torch.no_grad():
        torch.export.save(torch.export.export(case.module, inputs, dynamic_shapes=shapes), tmp_path / "saved.pt2")
    model = model_from_pt2(tmp_path / "saved.pt2")
    with torch.inference_mode():
        assert all(torch.equal(a, b) for a, b in zip(model(*inputs), case.model(*inputs), strict=True))
