"""A program survives JSON, and JSON can name operators but never run code."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import InvalidModel
from partitioner.graph import Dimension
from partitioner.operators import check_operators, resolve
from partitioner.program import Call, Program, Ref, TensorType, TorchConstant, Value
from partitioner.program_json import program_from_data, program_to_data

BATCH = TensorType("float32", (Dimension(1, 0),))

VALUES: st.SearchStrategy[Value] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.builds(Ref, st.just("x"))
    | st.builds(Dimension, st.integers(0, 9), st.integers(0, 9))
    | st.builds(TorchConstant, st.just("dtype"), st.sampled_from(["float32", "int64"])),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=5,
)


def program(*calls: Call, outputs: tuple[str, ...] = ("x",)) -> Program:
    return Program(("x",), (), calls, outputs, {"x": BATCH, **{c.name: BATCH for c in calls}})


def data_of_one_call(**changes: Any) -> Any:
    data = program_to_data(program(Call("y", "aten.relu.default", (Ref("x"),))))
    data["calls"][0].update(changes)
    return data


def load(data: Any) -> None:
    check_operators(program_from_data(data))


def test_every_models_program_survives_json(case: Any) -> None:
    text = json.dumps(program_to_data(case.model.program), allow_nan=False)
    assert program_from_data(json.loads(text)) == case.model.program


@given(args=st.lists(VALUES, max_size=4).map(tuple), keyword=VALUES)
def test_every_value_survives_json(args: tuple[Value, ...], keyword: Value) -> None:
    made = program(Call("y", "aten.relu.default", args, (("k", keyword),)))
    assert program_from_data(json.loads(json.dumps(program_to_data(made), allow_nan=False))) == made


def test_not_a_number_survives_json() -> None:
    made = program(Call("y", "aten.relu.default", (Ref("x"), math.nan)))
    found = program_from_data(json.loads(json.dumps(program_to_data(made), allow_nan=False))).calls[0].args[1]
    assert isinstance(found, float)
    assert math.isnan(found)


@pytest.mark.parametrize(
    "target",
    [
        "aten.relu_.default",
        "aten.rand.default",
        "aten.bernoulli.default",
        "aten.from_file.default",
        "aten.as_strided.default",
        "aten._unsafe_index.Tensor",
        "aten._unsafe_masked_index.default",
        "aten._unsafe_masked_index_put_accumulate.default",
        "aten._unsafe_index_put.default",
        "aten._sparse_coo_tensor_unsafe.default",
        "aten._to_dense.default",
        "aten._sparse_compressed_tensor_unsafe.default",
        "aten._sparse_csr_tensor_unsafe.default",
        "aten._sparse_csc_tensor_unsafe.default",
        "aten._sparse_bsr_tensor_unsafe.default",
        "aten._sparse_bsc_tensor_unsafe.default",
        "aten._nested_view_from_buffer.default",
        "aten._nested_view_from_buffer_copy.default",
        "aten.as_strided_copy.default",
        "aten.as_strided_scatter.default",
        "aten._reshape_alias.default",
        "aten.empty.memory_format",
        "aten.new_empty.default",
        "aten.new_empty_strided.default",
        "aten.empty_like.default",
        "aten.empty_strided.default",
        "aten.empty_permuted.default",
        "aten.pin_memory.default",
        "aten.mkldnn_rnn_layer.default",
        "aten._scaled_dot_product_flash_attention_for_cpu.default",
        "aten.item.default",
        "aten.nonsense.default",
        "aten.relu.nonsense",
        "aten.__class__.__init__",
        "aten.relu",
        "prims.add.default",
        "os.system",
        "sym.system",
        "builtins.eval",
        "aten.relu.default.__call__",
        "",
    ],
)
def test_a_target_that_is_no_functional_operator_is_refused(target: str) -> None:
    with pytest.raises(InvalidModel):
        load(data_of_one_call(target=target))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "x"},
        {"name": "import"},
        {"name": "a; import os"},
        {"name": "__class__"},
        {"name": 3},
        {"args": [{"ref": "later"}]},
        {"args": [{"ref": "x", "size": [1, 1]}]},
        {"args": [{"size": [1, "2"]}]},
        {"args": [{"size": [1.5, 2]}]},
        {"args": [{"float": "1e5"}]},
        {"args": [{"dtype": "qint8"}]},
        {"args": [{"device": "cuda:0"}]},
        {"args": [{"code": "1"}]},
        {"args": [10**30]},
        {"args": [[[[[[[[[[[1]]]]]]]]]]]},
        {"args": 3},
        {"kwargs": []},
        {"kwargs": {"out=print()": 1}},
        {"args": [{"ref": "x"}, 1, 2, 3]},
        {"extra": 1},
        {
            "target": "aten.batch_norm.default",
            "args": [{"ref": "x"}, None, None, {"ref": "x"}, {"ref": "x"}, True, 0.1, 1e-5, False],
        },
        {
            "target": "aten.instance_norm.default",
            "args": [{"ref": "x"}, None, None, {"ref": "x"}, {"ref": "x"}, True, 0.1, 1e-5, False],
        },
        {"target": "getitem", "args": [{"ref": "x"}, "a"]},
        {"target": "sym.mul", "args": ["a", 1000000]},
    ],
)
def test_a_hostile_call_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidModel):
        load(data_of_one_call(**changes))


@pytest.mark.parametrize("data", [None, [], {}, {"inputs": []}, "text"])
def test_what_is_no_program_is_refused(data: Any) -> None:
    with pytest.raises(InvalidModel):
        program_from_data(data)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("inputs", []),
        ("outputs", []),
        ("outputs", ["later"]),
        ("types", {}),
        ("types", {"x": ["float32", [[0, 3]]], "y": ["float32", []]}),
        ("types", {"x": ["qint8", [[1, 0]]]}),
        ("weights", ["x"]),
    ],
)
def test_an_inconsistent_program_is_refused(key: str, value: Any) -> None:
    with pytest.raises(InvalidModel):
        program_from_data({**copy.deepcopy(data_of_one_call()), key: value})


def test_an_operator_that_is_not_listed_is_named_with_the_remedy() -> None:
    with pytest.raises(InvalidModel, match=r"aten\.as_strided_scatter\.default.*allowed_operators\.py") as caught:
        load(data_of_one_call(target="aten.as_strided_scatter.default"))
    assert "\n" not in str(caught.value)


def test_a_functional_operator_is_found() -> None:
    assert str(resolve("aten.relu.default")) == "aten.relu.default"


def test_a_call_whose_name_is_nested_beyond_all_text_is_refused() -> None:
    name: Any = 0
    for _ in range(100_000):
        name = [name]
    with pytest.raises(InvalidModel, match="has no name or target"):
        program_from_data(data_of_one_call(name=name))
