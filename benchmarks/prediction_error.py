"""How far is the predicted time of a plan from the measured one? Real deployments over an emulated link.

Error: |predicted - measured| / measured of whole requests, as the gateway predicts them before they run and a client
outside the edge measures them: every way on every link, each way forced in turn, in random order after requests from
which the edge learns the link. --quick: the demo's model, photo and links. Full: six models on six links on eager, two
of them on onnxruntime too. --engines: the built-in models on these engines instead; ones that compile take minutes
first, once. Plans are timed by the nodes' own processes; networks other than the built-in ones have
random weights. Value: the median of all requests; its interval resamples whole cells (subject, link, way). Floor: the
same error of a prediction that knows the cell's other requests (their median): what no predictor gets below here.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, get_args

import numpy as np

from benchmarks.figure import Figure, Interval, Options, machine, parse_options, report
from benchmarks.networks import network
from isthmus.client import AsyncClient
from isthmus.configuration import (
    CloudConfiguration,
    Configuration,
    EdgeConfiguration,
    EngineName,
    LinkConfiguration,
    ModelConfiguration,
)
from isthmus.demo import LINKS, SLOWDOWN
from isthmus.deployment import Deployment, Sides, deploy, export_models
from isthmus.errors import NotFound
from isthmus.zoo import demo_photos
from nodes.measure.timing import percentile
from nodes.plan_shapes import cut_plan
from nodes.sample_inputs import sample_inputs
from partitioner.artifact import load_artifact, save_artifact
from partitioner.link import Link
from partitioner.model import Model
from partitioner.plan import InputForm
from simulations.link_emulator import LinkShape

GOAL, GOAL_P90, LEARN, SETTLE_S, TIMEOUT_S = 0.03, 0.08, 6, 1.2, 60.0
MORE_LINKS = (*LINKS, Link(2e6, 2e6, 0.06), Link(50e6, 50e6, 0.01))
# A whole float32 tensor takes five seconds and more below this: it is measured on the other links.
RAW_FROM_BPS = 5e6
BUILT = ("alexnet", "resnet18", "inception", "densenet121")
ZOO = {"efficientnet-lite0": "isthmus.zoo:efficientnet_lite0", "all-minilm-l6-v2": "isthmus.zoo:minilm"}
Engine = EngineName
ENGINES: tuple[Engine, ...] = ("eager", "onnxruntime")
Inputs = Mapping[str, Any]
Cell = tuple[str, str, str]  # subject, link, way


@dataclass(frozen=True)
class Times:
    """One request, in ms: all of it, then the compute of both sides, then both ways of the wire."""

    predicted: tuple[float, float, float]
    measured: tuple[float, float, float]

    def errors(self) -> tuple[float, float, float]:
        """Relative to the whole request, so that a part of no weight has no error."""
        whole = self.measured[0]
        total, compute, wire = (abs(p - m) / whole for p, m in zip(self.predicted, self.measured, strict=True))
        return total, compute, wire


Measured = dict[Cell, list[Times]]


def ways(model: Model, link: Link, engine: Engine) -> Iterator[tuple[str, str]]:
    """The policies that force each way, by name."""
    yield "edge-only", "edge-only"
    yield "split", "fixed:split"
    picture = model.interface.inputs[0].preprocessing is not None
    for codec in ("raw", "file", "webp") if picture else ("raw",):
        if codec != "raw" or link.uplink_bps >= RAW_FROM_BPS:
            form: InputForm = "bytes" if picture else "tensor"
            codecs = dict.fromkeys(model.graph.inputs, codec)
            plan = cut_plan(model, (), codecs, form=form, engines=(engine, engine))
            yield f"cloud-only {codec}", f"fixed:{plan.plan_id}"


async def measure_link(running: Deployment, model: Model, engine: Engine, link: Link, options: Options) -> Measured:
    assert running.link is not None
    running.link.set_shape(LinkShape(link.uplink_bps, link.downlink_bps, link.rtt_s))
    await asyncio.sleep(SETTLE_S)
    inputs = _inputs(model)
    async with AsyncClient(running.gateway) as client:
        offered = [one for one in ways(model, link, engine) if await is_offered(client, model.name, inputs, one[1])]
        for _ in range(LEARN):  # by the way that sends least: the last one, or the split where there is one
            await client.infer(model.name, inputs, TIMEOUT_S, dict(offered).get("split", offered[-1][1]))
        rounds = offered * 3
        random.Random(options.seed).shuffle(rounds)
        measured: Measured = {}
        for way, policy in rounds:
            cell = (f"{model.name} on {engine}", str(link), way)
            measured.setdefault(cell, []).append(await ask(client, model.name, inputs, policy))
    return measured


async def is_offered(client: AsyncClient, model: str, inputs: Inputs, policy: str) -> bool:
    """Whether there is such a plan; its first request warms it up."""
    try:
        await client.infer(model, inputs, TIMEOUT_S, policy)
    except NotFound:
        return False
    return True


def _inputs(model: Model) -> Inputs:
    if model.interface.inputs[0].preprocessing is not None:
        return {model.interface.inputs[0].name: demo_photos()[-1]}
    values = sample_inputs(model, 1).values
    return {name: np.asarray(value) for name, value in values.items()}


async def ask(client: AsyncClient, model: str, inputs: Inputs, policy: str) -> Times:
    started_s = time.perf_counter()
    said = (await client.infer(model, inputs, TIMEOUT_S, policy)).timings
    took_ms = 1e3 * (time.perf_counter() - started_s)
    predicted = (
        said["predicted"],
        said["predicted_edge"] + said["predicted_cloud"],
        said["predicted_uplink"] + said["predicted_downlink"],
    )
    compute_ms = sum(said[stage] for stage in ("edge_queue", "edge", "cloud_queue", "cloud"))
    return Times(predicted, (took_ms, compute_ms, said["uplink"] + said["downlink"]))


async def measure(name: str, source: str, engine: Engine, links: Sequence[Link], options: Options) -> Measured:
    configuration = Configuration(
        models=(ModelConfiguration(name=name, source=source),),
        edge=EdgeConfiguration(listen="127.0.0.1:0", runtime="process", emulate_slowdown=SLOWDOWN, engine=engine),
        cloud=CloudConfiguration(registry_listen="127.0.0.1:0", runtime="process", engine=engine),
        link=LinkConfiguration(bandwidth=links[-1].uplink_bps, rtt=links[-1].rtt_s),
    )
    artifacts = await asyncio.to_thread(export_models, configuration.models, Path.cwd(), lambda _: None)
    model = load_artifact(artifacts[0].path)
    measured: Measured = {}
    async with deploy(configuration, Sides(True, True), artifacts, lambda _: None) as running:
        for link in links:
            measured |= await measure_link(running, model, engine, link, options)
    return measured


def measure_all(options: Options) -> Measured:
    if options.engines:
        return measure_engines(options)
    if options.quick:
        name, source = next(iter(ZOO.items()))
        return asyncio.run(measure(name, source, "eager", LINKS, options))
    measured: Measured = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in BUILT:
            made = network(name)
            save_artifact(made, Path(folder) / name)
            measured |= asyncio.run(measure(made.name, str(Path(folder) / name), "eager", MORE_LINKS, options))
    for name, source in ZOO.items():
        for engine in ENGINES:
            measured |= asyncio.run(measure(name, source, engine, MORE_LINKS, options))
    return measured


def measure_engines(options: Options) -> Measured:
    links, measured = LINKS[1:3] if options.quick else MORE_LINKS, Measured()
    for name, source in ZOO.items():
        for engine in (one for one in get_args(Engine) if one in options.engines):
            measured |= asyncio.run(measure(name, source, engine, links, options))
    return measured


def unavoidable(times: Sequence[Times]) -> list[float]:
    took = [one.measured[0] for one in times]
    return [abs(median(took[:i] + took[i + 1 :]) - one) / one for i, one in enumerate(took)]


def clustered(groups: Sequence[Sequence[float]], seed: int) -> Interval:
    """The median of all, with the bootstrap interval of whole groups (requests of one cell err together)."""
    source = random.Random(seed)
    drawn = sorted(median(x for g in source.choices(groups, k=len(groups)) for x in g) for _ in range(2000))
    return Interval(median(x for group in groups for x in group), drawn[50], drawn[1950])


def table(measured: Measured, floors: Sequence[float]) -> dict[str, object]:
    """Median and 90th percentile of the whole, of compute and of the wire; then by subject, by link and by way."""
    every = [one.errors() for times in measured.values() for one in times]
    rows: dict[str, object] = {}
    for part, name in enumerate(("whole request", "compute part", "wire part")):
        errors = [one[part] for one in every]
        rows[name] = f"median {median(errors):.3f}, 90th percentile {percentile(errors, 0.9):.3f}"
    rows["floor"] = f"median {median(floors):.3f}, 90th percentile {percentile(floors, 0.9):.3f}"
    for position in range(3):
        for group in dict.fromkeys(cell[position] for cell in measured):
            mine = [one.errors()[0] for cell, times in measured.items() if cell[position] == group for one in times]
            rows[group] = f"median {median(mine):.3f}, 90th percentile {percentile(mine, 0.9):.3f}, n {len(mine)}"
    return rows


def main() -> None:
    options = parse_options(__doc__ or "", engines=True)
    measured = measure_all(options)
    value = clustered([[one.errors()[0] for one in times] for times in measured.values()], options.seed)
    floors = [x for times in measured.values() for x in unavoidable(times)]
    every = [one.errors()[0] for times in measured.values() for one in times]
    goal, goal_p90 = max(GOAL, 1.25 * median(floors)), max(GOAL_P90, 1.5 * percentile(floors, 0.9))
    p90 = percentile(every, 0.9)
    words = f"median {'holds' if value.low <= goal else 'missed'}, 90th percentile {p90:.3f} of {goal_p90:.3f}: "
    words += "holds" if p90 <= goal_p90 else "missed"
    holds = value.low <= goal and p90 <= goal_p90
    numbers = (value.value, value.low, value.high, median(floors), len(every), goal, holds)
    report(Figure("prediction_error", *numbers, machine(), options.seed, words, table(measured, floors)), options)


if __name__ == "__main__":
    main()
