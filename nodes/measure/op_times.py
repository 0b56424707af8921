"""How the time of a whole model is shared among its ops, on the engine that runs it.

The sum is up to 9 % off the whole run of a CNN on eager, and 2.6 times that of an engine that fuses ops; scaled to the
measured whole, segments are predicted within 2 % (eager) or 3 % (onnxruntime), which `OpTimes.shares_of_whole` does.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from nodes.engines.base import Engine
from nodes.measure.timing import measure, summary
from nodes.measure.torch_op_times import LEAST_RUNS, MOST_RUNS, torch_op_times
from nodes.sample_inputs import sample_tensors
from partitioner.measurements import OpTimes
from partitioner.model import Model
from partitioner.torch_model import TorchModel

__all__ = ["measure_op_times"]


def measure_op_times(model: Model, engine: Engine, *, batch: int = 1, budget_s: float = 2.0) -> OpTimes:
    """10th percentile of every op of `model.graph`, and of the whole model through `engine`, on the calling thread.

    Half of `budget_s` each (3 runs at least). Times include the engine's emulated slowdown. Fetching a result of a
    multi-output op counts for that op; sizes and ops of constants, which every segment makes anew, count for none.
    """
    inputs = sample_tensors(model, batch)
    runner = engine.load(model.whole)
    whole = measure(lambda: runner(*inputs), budget_s=budget_s / 2, min_repeats=LEAST_RUNS, max_repeats=MOST_RUNS)
    times = _op_times(model, engine, inputs, budget_s / 2)
    names = {op.name for op in model.graph.ops}
    seconds = {name: summary(taken).scaled(engine.slowdown) for name, taken in times.items() if name in names}
    return OpTimes(model.digest, engine.name, engine.threads, batch, seconds, whole)


def _op_times(
    model: Model, engine: Engine, inputs: tuple[torch.Tensor, ...], budget_s: float
) -> Mapping[str, list[float]]:
    if isinstance(model, TorchModel) and engine.name != "onnxruntime":
        # Of an engine that compiles too: its kernels belong to no op of the graph, eager's shares are the nearest.
        return torch_op_times(model.whole.module, inputs, engine.device, budget_s)
    from nodes.measure.onnx_op_times import onnx_op_times  # imports onnxruntime: not for eager nodes

    # An ONNX model on eager runs on the CPU wherever the engine is.
    device = engine.device if engine.name == "onnxruntime" else "cpu"
    return onnx_op_times(model, inputs, (engine.threads, device), budget_s)
