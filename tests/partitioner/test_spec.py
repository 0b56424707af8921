"""A model's interface as JSON, and values that no model can have."""

from __future__ import annotations

import json
from typing import Any

import pytest

from isthmus.errors import InvalidModel
from partitioner.spec import ImagePreprocessing, InputSpec, Interface, OutputSpec

INTERFACE = Interface(
    "pets",
    (InputSpec("image", ImagePreprocessing(4, 4, 5, mean=(0.1, 0.2, 0.3))), InputSpec("extra")),
    (OutputSpec("logits", ("cat", "dog"), softmax=True, top_k=2),),
    autonomy="cloud-required",
    max_batch=3,
)


def test_an_interface_survives_json() -> None:
    assert Interface.from_json(INTERFACE.to_json()) == INTERFACE


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "[" * 100_000, '{"name": "a"}'])
def test_what_is_no_interface_is_refused(text: str) -> None:
    with pytest.raises(InvalidModel):
        Interface.from_json(text)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", ""),
        ("name", 3),
        ("max_batch", 0),
        ("max_batch", True),
        ("autonomy", "none"),
        ("inputs", [{"name": "a"}]),
    ],
)
def test_a_wrong_field_is_refused(key: str, value: Any) -> None:
    with pytest.raises(InvalidModel):
        Interface.from_json(json.dumps({**json.loads(INTERFACE.to_json()), key: value}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"height": 0},
        {"width": 99},
        {"resize_shorter": 1 << 20},
        {"resample": "nearest"},
        {"scale": float("nan")},
        {"mean": (0.0,)},
        {"std": (1.0, 0.0, 1.0)},
    ],
)
def test_preprocessing_that_no_picture_can_meet_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidModel, match="preprocessing"):
        ImagePreprocessing(**{"height": 4, "width": 4, "resize_shorter": 5, **wrong})


def test_repeated_names_are_refused() -> None:
    with pytest.raises(InvalidModel, match="input names"):
        Interface("a", (InputSpec("x"), InputSpec("x")), (OutputSpec("y"),))
