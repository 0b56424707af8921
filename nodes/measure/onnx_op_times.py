"""Each op of a model timed by onnxruntime's own profiler, unfused: fused kernels belong to no op of the graph."""

from __future__ import annotations

import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import torch

from nodes.measure.torch_op_times import LEAST_RUNS, MOST_RUNS
from partitioner.model import Model
from partitioner.onnx_session import open_session, session_options
from partitioner.onnx_slicing import slice_form

__all__ = ["onnx_op_times"]

_KERNEL = "_kernel_time"


def onnx_op_times(
    model: Model, inputs: tuple[torch.Tensor, ...], where: tuple[int, str], budget_s: float
) -> Mapping[str, list[float]]:
    """Seconds of each run of every op of `model.graph`, by name; the warm-up is left out. where: threads and device.

    On a GPU they are what giving it the kernels takes: shares at best.
    """
    threads, device = where
    form = model.onnx_form
    piece = slice_form(form, model.graph.inputs, tuple(dict.fromkeys(model.graph.outputs)))
    fed = {value: inputs[at].numpy() for value, at in piece.fed.items()}
    with tempfile.TemporaryDirectory() as folder:
        options = session_options(threads, exact=True)
        options.enable_profiling, options.profile_file_prefix = True, str(Path(folder) / "profile")
        session = open_session(form, piece, options, device)
        started, runs = time.perf_counter(), 0
        while runs <= LEAST_RUNS or (runs <= MOST_RUNS and time.perf_counter() - started < budget_s):
            session.run(None, fed)
            runs += 1
        events = json.loads(Path(session.end_profiling()).read_text())
    return _by_op(events, form.owners(), runs)


def _by_op(events: list[dict[str, object]], owners: Mapping[str, str], runs: int) -> Mapping[str, list[float]]:
    """Kernel times summed by op, run by run: the profiler lists a node once a run, in the order of the runs."""
    seen: defaultdict[str, int] = defaultdict(int)
    times: defaultdict[str, list[float]] = defaultdict(lambda: [0.0] * runs)
    for event in events:
        name = str(event.get("name", ""))
        if event.get("cat") != "Node" or not name.endswith(_KERNEL):
            continue
        node = name.removesuffix(_KERNEL)
        if node in owners:
            times[owners[node]][seen[node]] += float(str(event["dur"])) * 1e-6
            seen[node] += 1
    return {op: taken[1:] for op, taken in times.items()}
