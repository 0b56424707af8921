"""The cuts worth measuring."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from isthmus.errors import InvalidInput
from partitioner.candidates import LinkGrid, candidate_cuts
from partitioner.partition import Setting

GRID = LinkGrid((1e4, 2e7, 1e11), (0.002,), (1.0,))


def test_every_optimal_cut_of_the_grid_is_there_with_its_coverage(model: Any, setting: Setting) -> None:
    everything = tuple(op.name for op in model.graph.ops)
    cuts = [(cut.edge_ops, cut.coverage) for cut in candidate_cuts(model, setting, GRID)]
    assert cuts == [(everything, 1), ((), 1), (("stem", "body"), 1)]


def test_edge_only_and_cloud_only_are_there_even_if_they_never_win(model: Any, setting: Setting) -> None:
    cuts = candidate_cuts(model, setting, LinkGrid((2e7,), (0.002,), (1.0,)))
    assert [cut.coverage for cut in cuts] == [0, 0, 1]


def test_the_limit_keeps_those_two(model: Any, setting: Setting) -> None:
    assert [len(cut.edge_ops) for cut in candidate_cuts(model, setting, GRID, limit=2)] == [4, 0]


def test_privacy_leaves_cloud_only_out(model: Any, setting: Setting) -> None:
    private = replace(setting, costing=replace(setting.costing, private_input=True))
    assert () not in {cut.edge_ops for cut in candidate_cuts(model, private, GRID)}


def test_a_model_that_requires_the_cloud_has_no_edge_only(model: Any, setting: Setting) -> None:
    big = replace(model, interface=replace(model.interface, autonomy="cloud-required"))
    assert all(len(cut.edge_ops) < 4 for cut in candidate_cuts(big, setting, GRID))


def test_the_default_grid_finds_the_narrow_cut(model: Any, setting: Setting) -> None:
    assert ("stem", "body") in {cut.edge_ops for cut in candidate_cuts(model, setting)}


def test_a_limit_below_two_is_refused(model: Any, setting: Setting) -> None:
    with pytest.raises(InvalidInput, match="limit"):
        candidate_cuts(model, setting, limit=1)
