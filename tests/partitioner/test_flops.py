"""FLOPs, bytes and shapes as laws of the batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode


@pytest.mark.parametrize("name", ["residual", "dense", "inception", "encoder-decoder", "shared-weights"])
@pytest.mark.parametrize("batch", [1, 4])
def test_multiplications_equal_those_of_a_real_run(case_named: Any, name: str, batch: int) -> None:
    case = case_named(name)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        case.module(*case.inputs(batch))
    counted = sum(op.flops_at(batch) for op in case.model.graph.ops if "conv" in op.kind or op.kind == "linear")
    assert counted == counter.get_total_flops()


def test_attention_counts_both_products(case_named: Any) -> None:
    (op,) = (op for op in case_named("attention").model.graph.ops if "attention" in op.kind)
    assert op.flops == 2 * 2 * 4 * 6 * 6 * 4  # two products, multiply and add, heads, queries, keys, width


def test_every_op_has_a_law_that_gives_its_flops_at_batch_one(case: Any) -> None:
    for op in case.model.graph.ops:
        assert op.flops == op.flops_at(1) >= 0


def test_tensor_bytes_are_those_of_the_real_tensors(case: Any) -> None:
    graph, inputs = case.model.graph, case.inputs(3)
    for count in range(len(graph.ops) + 1):
        segments = case.model.split([op.name for op in graph.ops[:count]])
        made = segments.prefix(*inputs)
        for name, tensor in zip((*segments.boundary, *segments.kept), made, strict=True):
            info = graph.tensors[name]
            assert (info.shape_at(3), f"torch.{info.dtype}") == (tuple(tensor.shape), str(tensor.dtype))
            assert info.bytes_at(3) == tensor.numel() * tensor.element_size()


def test_parameter_bytes_count_the_weights_of_an_op(residual: Any) -> None:
    (head,) = (op for op in residual.model.graph.ops if op.kind == "linear")
    assert head.parameter_bytes == (8 * 5 + 5) * 4
