"""The parts of the figure on memory that need no model of 90 MB."""

from __future__ import annotations

import os

from benchmarks.fuzz_targets import small_model
from benchmarks.weights import memory_bytes, plans


def test_what_is_private_is_part_of_what_counts() -> None:
    told = memory_bytes(os.getpid())
    assert 0 < told["Uss"] <= told["Pss"] <= told["Rss"]


def test_the_plans_are_all_cuts_but_edge_only() -> None:
    model = small_model()
    wholes = {tuple(op.name for op in model.graph.ops)}
    offered = {offer.edge_ops for offer in plans(model)}
    assert len(offered) == len(model.graph.ops)
    assert not offered & wholes
