"""Each op of a torch model timed where it stands, by an interpreter that drives the whole model op by op."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from typing import Any, cast

import torch
from torch import fx

from nodes.engines.placement import place
from partitioner.lowering import CALL

__all__ = ["LEAST_RUNS", "MOST_RUNS", "torch_op_times"]

LEAST_RUNS, MOST_RUNS = 3, 30
"""How often a whole model is run for the times of its ops, whatever the budget."""


def torch_op_times(
    module: fx.GraphModule, inputs: Collection[torch.Tensor], device: str, budget_s: float
) -> Mapping[str, list[float]]:
    """Seconds of each run of every call of a lowered program, by the call's name, on the calling thread."""
    placed = cast(fx.GraphModule, place(module, device, {}))
    moved = tuple(tensor.to(device) for tensor in inputs)
    times: defaultdict[str, list[float]] = defaultdict(list)
    interpreter = _TimedInterpreter(placed, torch.cuda.synchronize if device == "cuda" else _nothing)
    started = time.perf_counter()
    with torch.inference_mode():
        interpreter.run(*moved)  # warm up
        for run in range(MOST_RUNS):
            if run >= LEAST_RUNS and time.perf_counter() - started > budget_s:
                break
            interpreter.spent.clear()
            interpreter.run(*moved)
            for name, seconds in interpreter.spent.items():
                times[name].append(seconds)
    return times


class _TimedInterpreter(fx.Interpreter):
    """Runs a lowered program; `spent` then holds the seconds inside each call, by the call's name."""

    def __init__(self, module: fx.GraphModule, finish: Callable[[], object]) -> None:
        super().__init__(module)
        self.spent: defaultdict[str, float] = defaultdict(float)
        self._finish = finish
        self._current = ""

    def run_node(self, n: fx.Node) -> Any:
        """Run one node; what it calls is booked under its call's name."""
        self._current = _owner(n)
        return super().run_node(n)

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the op by the clock."""
        # The clock runs around the op alone: fetching arguments costs the interpreter 7 us a node.
        started = time.perf_counter()
        result = target(*args, **kwargs)
        self._finish()
        self.spent[self._current] += time.perf_counter() - started
        return result


def _owner(node: fx.Node) -> str:
    """The name of the call that the node's time belongs to: a getitem's is that of the op whose result it fetches."""
    if "getitem" in str(node.target) and isinstance(node.args[0], fx.Node):
        return _owner(node.args[0])
    return str(node.meta.get(CALL, ""))


def _nothing() -> None:
    """A CPU has finished when the call returns."""
