"""A form's weights on disk: where they are said to be, whole or not there, written once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from partitioner.front_end import model_from_module
from partitioner.onnx_session import OnnxSession
from partitioner.onnx_weight_file import write_weights

WEIGHTS = {
    "b": torch.arange(5000, dtype=torch.float32),
    "a": torch.tensor([[True, False]]),
    "half": torch.linspace(0, 1, 7, dtype=torch.bfloat16),
    "one": torch.tensor(3, dtype=torch.int64),
}


def test_each_weight_lies_at_its_place_at_the_border_of_a_page(tmp_path: Path) -> None:
    made = write_weights(WEIGHTS, tmp_path)
    held = made.path.read_bytes()
    assert made.places.keys() == WEIGHTS.keys()
    for name, weight in WEIGHTS.items():
        place = made.places[name]
        assert place % 4096 == 0
        want = weight.reshape(-1).view(torch.uint8).numpy()
        assert np.array_equal(np.frombuffer(held[place : place + weight.nbytes], np.uint8), want)


def test_the_same_weights_are_written_once(tmp_path: Path) -> None:
    first = write_weights(WEIGHTS, tmp_path)
    written = first.path.stat()
    again = write_weights(dict(reversed(WEIGHTS.items())), tmp_path)
    assert again == first
    assert again.path.stat().st_ino == written.st_ino
    assert [path.name for path in tmp_path.iterdir()] == [first.path.name]


def test_other_weights_have_another_file(tmp_path: Path) -> None:
    changed = WEIGHTS | {"one": torch.tensor(4, dtype=torch.int64)}
    assert write_weights(changed, tmp_path).path != write_weights(WEIGHTS, tmp_path).path


def test_a_file_that_is_cut_short_is_written_anew(tmp_path: Path) -> None:
    made = write_weights(WEIGHTS, tmp_path)
    whole = made.path.read_bytes()
    made.path.write_bytes(whole[:4096])
    write_weights(WEIGHTS, tmp_path)
    assert made.path.read_bytes() == whole


def test_a_file_that_lost_a_page_is_written_anew(tmp_path: Path) -> None:
    made = write_weights(WEIGHTS, tmp_path)
    whole = made.path.read_bytes()
    made.path.write_bytes(whole[:8192] + bytes(4096) + whole[12288:])
    assert made.path.read_bytes() != whole
    write_weights(WEIGHTS, tmp_path)
    assert made.path.read_bytes() == whole


def test_what_cannot_be_written_whole_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", _full)
    with pytest.raises(OSError, match="No space left"):
        write_weights(WEIGHTS, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_session_of_mapped_weights_answers_alike_and_holds_fewer(tmp_path: Path) -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Embedding(300, 64), nn.Flatten(1), nn.Linear(256, 80), nn.ReLU(), nn.Linear(80, 60))
    model = model_from_module(layers.eval(), (torch.zeros(2, 4, dtype=torch.int64),), "words")
    form, graph = model.onnx_form, model.graph
    mapped = write_weights(form.weights, tmp_path)
    handed = OnnxSession(form, graph.inputs, graph.outputs)
    packed = OnnxSession(form, graph.inputs, graph.outputs, mapped=mapped)
    spare = OnnxSession(form, graph.inputs, graph.outputs, mapped=mapped, packed=False)
    words = torch.randint(0, 300, (3, 4), generator=torch.Generator().manual_seed(0))
    for session in (handed, packed, spare):
        torch.testing.assert_close(session(words)[0], model(words)[0], rtol=1e-5, atol=1e-6)
    table, products = 300 * 64 * 4, (256 * 80 + 80 + 80 * 60) * 4  # the bias of 60 is small enough to lie in the graph
    assert handed.weight_bytes == table + products
    assert packed.weight_bytes == products
    assert spare.weight_bytes == 0
    torch.testing.assert_close(OnnxSession(form, graph.inputs, graph.outputs)(words)[0], handed(words)[0])


def _full(_descriptor: int) -> None:
    raise OSError(28, "No space left on device")
