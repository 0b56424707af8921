"""Which model gets which files of a load."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from isthmus.client import AsyncClient, InputFacts
from isthmus.errors import InvalidInput
from simulations.load.client_kind import ClientKind
from simulations.load.load_inputs import input_files, load_inputs
from simulations.workload.poisson import Poisson


class DescribingClient(AsyncClient):
    """Of an edge whose models all take one image."""

    def __init__(self) -> None:
        """It connects to nothing."""

    async def describe_inputs(self, model: str) -> tuple[InputFacts, ...]:
        """See AsyncClient."""
        return (InputFacts("image", "FP32", (1, 2)),)


def kind(model: str, *, files: bool) -> ClientKind:
    return ClientKind(f"of-{model}", "shop", model, 1, Poisson(1.0), None, 0, "", files)


def test_each_model_gets_what_is_named_for_it() -> None:
    given = ["cat=a.jpg", "dog=b.jpg", "cat=more/"]
    assert input_files(given, ["cat", "dog", "cat"]) == {
        "cat": (Path("a.jpg"), Path("more/")), "dog": (Path("b.jpg"),)
    }  # fmt: skip


def test_of_one_model_a_bare_file_is_enough_whatever_its_name() -> None:
    given = ["a.jpg", "cat=b.jpg", "x=1.npy"]
    assert input_files(given, ["cat", "cat"]) == {"cat": (Path("a.jpg"), Path("b.jpg"), Path("x=1.npy"))}


@pytest.mark.parametrize("text", ["a.jpg", "mouse=a.jpg"])
def test_of_several_models_a_file_says_for_which_it_is(text: str) -> None:
    with pytest.raises(InvalidInput, match=rf"--input: .*\(got '{text}'\); write MODEL=FILE, with one of: cat, dog"):
        input_files([text], ["dog", "cat"])


def test_a_model_without_a_file_gets_noise_and_the_other_what_was_given() -> None:
    kinds = [kind("cat", files=True), kind("dog", files=False)]
    inputs = asyncio.run(load_inputs(DescribingClient(), kinds, {"cat": (b"picture",)}))
    (cat,), (dog,) = inputs["of-cat"].choices, inputs["of-dog"].choices
    assert cat["image"] == b"picture"
    assert dog["image"].shape == (1, 2)  # type: ignore[union-attr]


def test_of_one_model_files_go_to_the_clients_that_bring_them_and_arrays_to_the_others() -> None:
    camera, sensor = replace(kind("cat", files=True), name="camera"), replace(kind("cat", files=False), name="sensor")
    array = np.ones((1, 2), np.float32)
    inputs = asyncio.run(load_inputs(DescribingClient(), [camera, sensor], {"cat": (b"picture", array)}))
    assert [one["image"] for one in inputs["camera"].choices] == [b"picture"]
    assert [one["image"] is array for one in inputs["sensor"].choices] == [True]
    inputs = asyncio.run(load_inputs(DescribingClient(), [camera, sensor], {"cat": (b"picture",)}))
    assert inputs["sensor"].choices[0]["image"].shape == (1, 2)  # type: ignore[union-attr]


def test_files_for_clients_that_bring_none_are_refused() -> None:
    with pytest.raises(InvalidInput, match="--input: has files, and requests of the clients of-cat bring tensors"):
        asyncio.run(load_inputs(DescribingClient(), [kind("cat", files=False)], {"cat": (b"picture",)}))


def test_requests_that_bring_files_are_not_sent_another_models() -> None:
    kinds = [kind("cat", files=True), kind("dog", files=True)]
    with pytest.raises(InvalidInput, match="the clients of-dog bring files; name a file or a folder, like dog=photos/"):
        asyncio.run(load_inputs(DescribingClient(), kinds, {"cat": (b"picture",)}))
