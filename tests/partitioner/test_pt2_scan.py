"""A .pt2 file that could run code is refused before torch sees it."""

from __future__ import annotations

import json
import logging
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from isthmus.errors import InvalidModel
from partitioner.front_end import model_from_pt2
from partitioner.pt2_scan import scanned_pt2
from partitioner.size_grammar import is_size_text


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An honest archive."""
    path = tmp_path_factory.mktemp("pt2") / "plain.pt2"
    shapes = ({0: torch.export.Dim.DYNAMIC},)
    exported = torch.export.export(nn.Linear(3, 4), (torch.randn(2, 3),), dynamic_shapes=shapes)
    torch.export.save(exported, path)
    return path


class Executes:
    """Pickles to a call that leaves a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def doctored(plain: Path, target: Path, entry: str, change: Callable[[bytes], bytes]) -> Path:
    """A copy of `plain` with one entry changed."""
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(target, "w") as made:
        for name in source.namelist():
            content = source.read(name)
            made.writestr(name, change(content) if name.endswith(entry) else content)
    return target


def with_key(key: str, value: Any) -> Callable[[bytes], bytes]:
    """Sets every `key` in an entry's JSON."""

    def replace(data: Any) -> Any:
        if isinstance(data, dict):
            return {k: value if k == key else replace(v) for k, v in data.items()}
        return [replace(v) for v in data] if isinstance(data, list) else data

    return lambda content: json.dumps(replace(json.loads(content))).encode()


def test_an_honest_archive_passes(plain: Path) -> None:
    assert len(model_from_pt2(plain).graph.ops) == 1


@pytest.mark.parametrize(
    ("entry", "key", "value"),
    [
        ("weights_config.json", "use_pickle", True),
        ("model.json", "expr_str", "__import__('os').system('true')"),
        ("model.json", "guards_code", ["__import__('os').system('true')"]),
        ("model.json", "custom_obj_values", {"a": {"name": "a", "class_fqn": "b"}}),
        ("model.json", "target", "torch.serialization.os.system"),
        ("model.json", "target", "torch.ops.aten.from_file.default"),
        ("model.json", "target", "torch.ops.higher_order.cond"),
        ("model.json", "in_spec", '[1, {"type": "collections.defaultdict", "context": "os", "children_spec": []}]'),
    ],
)
def test_anything_executable_is_refused(plain: Path, tmp_path: Path, entry: str, key: str, value: Any) -> None:
    bad = doctored(plain, tmp_path / "bad.pt2", entry, with_key(key, value))
    with pytest.raises(InvalidModel, match=r"bad\.pt2"):
        model_from_pt2(bad)


@pytest.mark.parametrize(
    "target",
    [
        "torch.ops.aten._sparse_coo_tensor_unsafe.default",
        "torch.ops.aten._sparse_csr_tensor_unsafe.default",
        "torch.ops.aten._to_dense.default",
        "torch.ops.aten._nested_view_from_buffer.default",
        "torch.ops.aten._unsafe_index_put.default",
        "torch.ops.aten._unsafe_masked_index_put_accumulate.default",
        "torch.ops.aten.as_strided_scatter.default",
        "torch.ops.aten.as_strided_.default",
        "torch.ops.aten.new_empty.default",
        "torch.ops.aten.empty_strided.default",
        "torch.ops.aten.set_.source_Tensor",
        "torch.ops.aten.resize_.default",
        "torchx.ops.aten.from_file.default",
        "torch_.ops.aten.manual_seed.default",
        "torch_.ops.higher_order.cond",
        "_operatorx.getitem",
        "mathematics.floor",
        "#namespace:operator",
        "relu",
    ],
)
def test_an_operator_that_no_model_may_use_is_named(plain: Path, tmp_path: Path, target: str) -> None:
    bad = doctored(plain, tmp_path / "bad.pt2", "model.json", with_key("target", target))
    with pytest.raises(InvalidModel, match=rf"allowed_operators\.py.*{target}"):
        scanned_pt2(bad)


@pytest.mark.parametrize("target", ["torch.ops.aten.relu_.default", "torch.ops.aten.dropout.default"])
def test_in_place_and_quiet_forms_of_listed_operators_pass(plain: Path, tmp_path: Path, target: str) -> None:
    scanned_pt2(doctored(plain, tmp_path / "good.pt2", "model.json", with_key("target", target)))


def test_an_operator_that_is_handed_to_another_one_is_refused(plain: Path, tmp_path: Path) -> None:
    def handed(content: bytes) -> bytes:
        data = json.loads(content)
        node = data["graph_module"]["graph"]["nodes"][0]
        node["inputs"][0]["arg"] = {"as_operator": "torch.ops.aten.from_file.default"}
        return json.dumps(data).encode()

    with pytest.raises(InvalidModel, match="hands an operator to another one"):
        scanned_pt2(doctored(plain, tmp_path / "bad.pt2", "model.json", handed))


@pytest.mark.parametrize("name", ["torch_block.weight", "mathematics.bias", "os.weight"])
def test_a_weight_may_be_called_as_it_likes(plain: Path, tmp_path: Path, name: str) -> None:
    def renamed(content: bytes) -> bytes:
        data = json.loads(content)
        data["graph_module"]["signature"]["weights"] = {"target": name}
        return json.dumps(data).encode()

    scanned_pt2(doctored(plain, tmp_path / "good.pt2", "model.json", renamed))


def test_sample_inputs_that_hold_code_are_refused_unrun(plain: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    code = pickle.dumps(Executes(mark))
    with pytest.raises(InvalidModel, match="sample inputs"):
        model_from_pt2(doctored(plain, tmp_path / "bad.pt2", "sample_inputs/model.pt", lambda _: code))
    assert not mark.exists()


def test_entries_that_are_no_data_are_refused(plain: Path, tmp_path: Path) -> None:
    bad = doctored(plain, tmp_path / "bad.pt2", "-", bytes)
    with zipfile.ZipFile(bad, "a") as archive:
        archive.writestr(f"{archive.namelist()[0].partition('/')[0]}/data/aotinductor/model/code.so", b"")
    with pytest.raises(InvalidModel, match=r"code\.so"):
        scanned_pt2(bad)


def test_entries_that_differ_only_in_case_are_refused(plain: Path, tmp_path: Path) -> None:
    bad = doctored(plain, tmp_path / "bad.pt2", "-", bytes)
    with zipfile.ZipFile(bad, "a") as archive:
        name = next(n for n in archive.namelist() if n.endswith("model.json"))
        archive.writestr(name.replace("model.json", "MODEL.json"), b"{}")
    with pytest.raises(InvalidModel, match="repeated"):
        scanned_pt2(bad)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 broken"])
def test_what_is_no_archive_is_not_a_model_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pt2").write_bytes(content)
    with pytest.raises(InvalidModel, match="is not a model file"):
        model_from_pt2(tmp_path / "a.pt2")


def test_a_truncated_archive_is_refused(plain: Path, tmp_path: Path) -> None:
    (tmp_path / "a.pt2").write_bytes(plain.read_bytes()[:-200])
    with pytest.raises(InvalidModel):
        model_from_pt2(tmp_path / "a.pt2")


@pytest.mark.parametrize(
    ("key", "value", "doing"),
    [("range_constraints", {}, "make out its graph"), ("schema_version", {"major": 0, "minor": 1}, "load it")],
)
def test_a_graph_at_odds_with_itself_is_refused_in_one_line(
    plain: Path, tmp_path: Path, key: str, value: Any, doing: str
) -> None:
    """Whatever torch makes of it: it raises a dozen classes, and logs some of them with all their lines."""
    bad, logged, log = tmp_path / "bad.pt2", list[str](), logging.getLogger("torch.export")

    def hear(record: logging.LogRecord) -> bool:
        logged.append(record.getMessage())
        return True

    doctored(plain, bad, "model.json", with_key(key, value))
    log.addFilter(hear)
    try:
        with pytest.raises(InvalidModel, match=rf"bad\.pt2: torch cannot {doing}: ") as caught:
            model_from_pt2(bad)
        assert "\n" not in str(caught.value)
        assert logged == []
        log.warning("as ever")
        assert logged == ["as ever"]
    finally:
        log.removeFilter(hear)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match=r"missing\.pt2"):
        model_from_pt2(tmp_path / "missing.pt2")


@pytest.mark.parametrize(
    "text",
    [
        "s85",
        "2*s0 + 1",
        "Symbol('s85', positive=True, integer=True)",
        "Mul(Integer(2), Symbol('s0'))",
        "s0 <= 9",
        "L['a'].size()[0] == L['args'][0].size()[1]",
    ],
)
def test_sizes_are_in_the_grammar(text: str) -> None:
    assert is_size_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "os",
        "f(s0)",
        "s0.real",
        "L['a'].item()",
        "L['a'].size.__self__",
        "L[f()].size()[0]",
        "(lambda: 1)()",
        "Symbol('__import__')",
        "[s0]",
        "s0 if s0 else s1",
        "2**9**9",
        3,
    ],
)
def test_anything_else_is_not_in_the_grammar(text: object) -> None:
    assert not is_size_text(text)
