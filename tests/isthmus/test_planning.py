"""Planning with what a process can do: what several outputs of a command need is worked out once."""

from __future__ import annotations

from isthmus.planning import Planner
from partitioner.model import Model
from partitioner.setting import Setting


def test_the_frontier_is_worked_out_once_for_a_table_and_a_list(model: Model, setting: Setting) -> None:
    planner = Planner(model, setting)
    planner.table()
    assert planner.frontier is planner.frontier
