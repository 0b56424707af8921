"""Each op of a model timed where it stands, in real runs of the whole: how the time is shared among ops.

The sum is up to 9 % off the whole run on a CNN (an interpreter drives the ops here); scaled to the measured whole,
segments are predicted within 2 %, which `OpTimes.shares_of_whole` does.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from typing import Any, cast

import torch
from torch import fx

from nodes.engines.base import Engine
from nodes.engines.placement import place
from nodes.measure.slowed import slowed
from nodes.measure.timing import measure, summary
from nodes.sample_inputs import sample_inputs
from partitioner.lowering import CALL, lower
from partitioner.model import Model
from partitioner.profiles import OpTimes

__all__ = ["measure_op_times"]

_LEAST_RUNS, _MOST_RUNS = 3, 30


def measure_op_times(model: Model, engine: Engine, *, batch: int = 1, budget_s: float = 2.0) -> OpTimes:
    """10th percentile of every op of `model.graph`, and of the whole model through `engine`, on the calling thread.

    Half of `budget_s` each (3 runs at least). Times include the engine's emulated slowdown. Fetching a result of a
    multi-output op counts for that op; sizes and ops of constants, which every segment makes anew, count for none.
    """
    inputs = tuple(cast(torch.Tensor, value) for value in sample_inputs(model, batch).values.values())
    module = lower(model.program, model.weights, model.program.inputs, model.program.outputs)
    runner = engine.load(module)
    whole = measure(lambda: runner(*inputs), budget_s=budget_s / 2, min_repeats=_LEAST_RUNS, max_repeats=_MOST_RUNS)
    placed = cast(fx.GraphModule, place(module, engine.device, {}))
    moved = tuple(tensor.to(engine.device) for tensor in inputs)
    times = _repeated_runs(placed, moved, engine.device, budget_s / 2)
    names = {op.name for op in model.graph.ops}
    seconds = {name: slowed(summary(taken), engine.slowdown) for name, taken in times.items() if name in names}
    return OpTimes(model.digest, engine.name, engine.threads, batch, seconds, whole)


def _repeated_runs(
    module: fx.GraphModule, inputs: Collection[torch.Tensor], device: str, budget_s: float
) -> Mapping[str, list[float]]:
    times: defaultdict[str, list[float]] = defaultdict(list)
    interpreter = _TimedInterpreter(module, torch.cuda.synchronize if device == "cuda" else _nothing)
    started = time.perf_counter()
    with torch.inference_mode():
        interpreter.run(*inputs)  # warm up
        for run in range(_MOST_RUNS):
            if run >= _LEAST_RUNS and time.perf_counter() - started > budget_s:
                break
            interpreter.spent.clear()
            interpreter.run(*inputs)
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
