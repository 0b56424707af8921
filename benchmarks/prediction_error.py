"""How far is the predicted time of a plan from the measured one? Real deployments over an emulated link.

Error: |predicted - measured| / measured of whole requests, as the gateway predicts them before they run and a client
outside the edge measures them: every way on every link, each way forced in turn, in random order after requests from
which the edge learns the link. --quick: the demo's model, photo and links. Full: six models on six links, on eager and
on onnxruntime. --engines: the built-in models on these engines instead, one by one with --models, each
choice with a record of its own; engines that compile take minutes first, once. Plans are timed by the nodes' own
processes; networks other than the built-in ones have random weights. Value: the median of all requests; its interval
resamples whole cells (subject, link, way). Floor: the same error of a prediction that knows the cell's other requests
(their median): what no predictor gets below here. Order: of two ways of one subject on one link whose times differ by
more than the floor's 90th percentile, how often the other one is quicker than a predictor says: this system's, and sums
of op times and halves measured whole (see plan_order.py) with this system's times on the wire, so that only the
compute differs. Those come from a profile that the benchmark's own process took, as `isthmus partition` has it; how far
they are off is told, too. Of a menu's splits two are measured: those with the fewest and the most ops on the edge.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any, get_args

import numpy as np
from PIL import Image

from benchmarks.figure import Figure, Interval, Options, machine, parse_options, report
from benchmarks.networks import network
from benchmarks.plan_order import OpSums, Ranked, disagreements
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
from isthmus.deployment import Sides, deploy
from isthmus.errors import NotFound
from isthmus.model_export import export_models
from isthmus.zoo import demo_photos
from nodes.measure.timing import percentile
from nodes.plan_shapes import cut_plan
from nodes.sample_inputs import sample_inputs
from partitioner.artifact import load_artifact, save_artifact
from partitioner.cost_model import FileFacts
from partitioner.link import Link
from partitioner.model import Model
from partitioner.plan import InputForm, Plan
from simulations.link_emulator import LinkShape

GOAL, GOAL_P90, LEARN, SETTLE_S, TIMEOUT_S = 0.03, 0.08, 6, 1.2, 60.0
MORE_LINKS = (*LINKS, Link(2e6, 2e6, 0.06), Link(50e6, 50e6, 0.01))
# A whole float32 tensor takes five seconds and more below this: it is measured on the other links.
RAW_FROM_BPS = 5e6
# So many splits of a menu are measured.
MOST_SPLITS = 2
BUILT = ("alexnet", "resnet18", "inception", "densenet121")
ZOO = {"efficientnet-lite0": "isthmus.zoo:efficientnet_lite0", "all-minilm-l6-v2": "isthmus.zoo:minilm"}
Engine = EngineName
ENGINES: tuple[Engine, ...] = ("eager", "onnxruntime")
Inputs = Mapping[str, Any]
Cell = tuple[str, str, str]  # subject, link, way


@dataclass(frozen=True, slots=True)
class Way:
    """A plan, forced by its policy. name: "split 1" and the like, "cloud-only file"."""

    name: str
    policy: str
    plan: Plan


@dataclass(frozen=True, slots=True)
class Times:
    """One request, in ms: all of it, the compute of both sides, both ways of the wire, and what it costs besides."""

    predicted: tuple[float, float, float, float]
    measured: tuple[float, float, float, float]

    def errors(self) -> tuple[float, ...]:
        """Relative to the whole request, so that a part of no weight has no error."""
        return tuple(abs(p - m) / self.measured[0] for p, m in zip(self.predicted, self.measured, strict=True))


@dataclass(frozen=True, slots=True)
class Subject:
    """A model on an engine, and what sums of its op times say."""

    model: Model
    engine: Engine
    sums: OpSums

    def __str__(self) -> str:
        return f"{self.model.name} on {self.engine}"


@dataclass(slots=True)
class Measured:
    """What was measured by cell, and, by subject and way, the compute in ms that sums of op times give it."""

    times: dict[Cell, list[Times]] = field(default_factory=dict)
    op_sums: dict[tuple[str, str], Mapping[str, float]] = field(default_factory=dict)

    def add(self, subject: Subject, link: Link, way: Way, times: Times) -> None:
        """One request."""
        self.times.setdefault((str(subject), str(link), way.name), []).append(times)
        if (str(subject), way.name) not in self.op_sums:
            self.op_sums[str(subject), way.name] = subject.sums.compute_ms(way.plan)

    def ranked(self) -> list[list[Ranked]]:
        """The ways of each subject on each link."""
        groups: dict[tuple[str, str], list[Ranked]] = {}
        for (subject, link, way), times in self.times.items():
            predicted = [median(column) for column in zip(*(one.predicted for one in times), strict=True)]
            said = {"this system's prediction": predicted[0]}
            besides_ms = predicted[2] + predicted[3]
            said |= {name: sum_ms + besides_ms for name, sum_ms in self.op_sums[subject, way].items()}
            took = median(one.measured[0] for one in times)
            groups.setdefault((subject, link), []).append(Ranked(took, said))
        return list(groups.values())


def ways(subject: Subject) -> Iterator[Way]:
    """Edge-only, each encoding of cloud-only, and every split that an edge may offer."""
    model, engines = subject.model, (subject.engine, subject.engine)
    picture = model.interface.inputs[0].preprocessing is not None
    form: InputForm = "bytes" if picture else "tensor"
    every_op = tuple(op.name for op in model.graph.ops)
    yield Way("edge-only", "edge-only", cut_plan(model, every_op, {}, form=form, engines=engines))
    for codec in ("raw", "file", "webp") if picture else ("raw",):
        plan = cut_plan(model, (), dict.fromkeys(model.graph.inputs, codec), form=form, engines=engines)
        yield Way(f"cloud-only {codec}", f"fixed:{plan.plan_id}", plan)
    for plan in subject.sums.splits():
        yield Way("split", f"fixed:{plan.plan_id}", plan)


async def offered_ways(client: AsyncClient, subject: Subject, inputs: Inputs) -> list[Way]:
    """Those that the edge has, of the splits a few: from the one with the least ops to the one with the most."""
    found = [way for way in ways(subject) if await is_offered(client, subject.model.name, inputs, way.policy)]
    splits = sorted((way for way in found if way.name == "split"), key=lambda way: len(way.plan.edge_ops))
    count = min(MOST_SPLITS, len(splits))
    few = [splits[round(i * (len(splits) - 1) / max(1, count - 1))] for i in range(count)]
    named = [replace(way, name=f"split {number}") for number, way in enumerate(few, 1)]
    return [way for way in found if way.name != "split"] + named


async def measure_link(
    client: AsyncClient, subject: Subject, offered: Sequence[Way], link: Link, options: Options
) -> list[tuple[Way, Times]]:
    """Three requests each way, after some from which the edge learns the link."""
    inputs, name = _inputs(subject.model), subject.model.name
    slow = link.uplink_bps < RAW_FROM_BPS
    taken = [way for way in offered if not (slow and way.name == "cloud-only raw")]
    learnt_by = "fixed:split" if any(way.name.startswith("split") for way in taken) else taken[-1].policy
    for _ in range(LEARN):  # by what sends least: the best split, or the last way where there is none
        await client.infer(name, inputs, TIMEOUT_S, learnt_by)
    rounds = taken * 3
    random.Random(options.seed).shuffle(rounds)
    return [(way, await ask(client, name, inputs, way.policy)) for way in rounds]


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
        said["predicted_overhead"],
    )
    compute_ms, wire_ms = said["edge"] + said["cloud_queue"] + said["cloud"], said["uplink"] + said["downlink"]
    return Times(predicted, (took_ms, compute_ms, wire_ms, took_ms - compute_ms - wire_ms))


async def measure(
    name: str, source: str, engine: Engine, links: Sequence[Link], options: Options, measured: Measured
) -> None:
    configuration = Configuration(
        models=(ModelConfiguration(name=name, source=source),),
        edge=EdgeConfiguration(listen="127.0.0.1:0", runtime="process", emulate_slowdown=SLOWDOWN, engine=engine),
        cloud=CloudConfiguration(registry_listen="127.0.0.1:0", runtime="process", engine=engine),
        link=LinkConfiguration(bandwidth=links[-1].uplink_bps, rtt=links[-1].rtt_s),
    )
    artifacts = await asyncio.to_thread(export_models, configuration.models, Path.cwd(), lambda _: None)
    model = load_artifact(artifacts[0].path)
    subject = Subject(model, engine, OpSums(model, engine, SLOWDOWN, photo()))
    async with deploy(configuration, Sides(True, True), lambda: artifacts, lambda _: None) as running:
        assert running.link is not None
        async with AsyncClient(running.gateway) as client:
            offered = await offered_ways(client, subject, _inputs(model))
            if engine != "inductor":  # which would compile them all anew
                await asyncio.to_thread(subject.sums.time_halves, [way.plan for way in offered])
            for link in links:
                running.link.set_shape(LinkShape(link.uplink_bps, link.downlink_bps, link.rtt_s))
                await asyncio.sleep(SETTLE_S)
                for way, times in await measure_link(client, subject, offered, link, options):
                    measured.add(subject, link, way, times)


def photo() -> FileFacts:
    """Of the photo that requests bring."""
    path = demo_photos()[-1]
    with Image.open(path) as picture:
        return FileFacts(path.stat().st_size, picture.width * picture.height)


def measure_all(options: Options) -> Measured:
    if options.engines:
        return measure_engines(options)
    measured = Measured()
    if options.quick:
        name, source = next(iter(ZOO.items()))
        asyncio.run(measure(name, source, "eager", LINKS, options, measured))
        return measured
    with tempfile.TemporaryDirectory() as folder:
        for name in BUILT:
            made = network(name)
            save_artifact(made, Path(folder) / name)
            for engine in ENGINES:
                asyncio.run(measure(made.name, str(Path(folder) / name), engine, MORE_LINKS, options, measured))
    for name, source in ZOO.items():
        for engine in ENGINES:
            asyncio.run(measure(name, source, engine, MORE_LINKS, options, measured))
    return measured


def measure_engines(options: Options) -> Measured:
    links, measured = LINKS[1:3] if options.quick else MORE_LINKS, Measured()
    for name, source in ((name, source) for name, source in ZOO.items() if name in (options.models or ZOO)):
        for engine in (one for one in get_args(Engine) if one in options.engines):
            asyncio.run(measure(name, source, engine, links, options, measured))
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
    """Median and 90th percentile of the whole and its parts; then by subject, by link and by way; then the order."""
    every = [one.errors() for times in measured.times.values() for one in times]
    rows: dict[str, object] = {}
    for part, name in enumerate(("whole request", "compute part", "wire part", "overhead part")):
        errors = [one[part] for one in every]
        rows[name] = f"median {median(errors):.3f}, 90th percentile {percentile(errors, 0.9):.3f}"
    rows["floor"] = f"median {median(floors):.3f}, 90th percentile {percentile(floors, 0.9):.3f}"
    for position in range(3):
        errors_of: dict[str, list[float]] = {}
        for cell, times in measured.times.items():
            group = "split" if cell[position].startswith("split") else cell[position]
            errors_of.setdefault(group, []).extend(one.errors()[0] for one in times)
        for group, mine in errors_of.items():
            rows[group] = f"median {median(mine):.3f}, 90th percentile {percentile(mine, 0.9):.3f}, n {len(mine)}"
    groups = measured.ranked()
    return rows | off_by(one for group in groups for one in group) | disagreements(groups, percentile(floors, 0.9))


def off_by(ranked: Iterable[Ranked]) -> dict[str, object]:
    """By predictor, how far it is from a way's median on a link."""
    errors: dict[str, list[float]] = {}
    for one in ranked:
        for name, said_ms in one.said.items():
            errors.setdefault(name, []).append(abs(said_ms - one.measured) / one.measured)
    return {
        f"way and link by {name}": f"median {median(mine):.3f}, 90th percentile {percentile(mine, 0.9):.3f}"
        for name, mine in errors.items()
    }


def main() -> None:
    options = parse_options(__doc__ or "", engines=True)
    measured = measure_all(options)
    value = clustered([[one.errors()[0] for one in times] for times in measured.times.values()], options.seed)
    floors = [x for times in measured.times.values() for x in unavoidable(times)]
    every = [one.errors()[0] for times in measured.times.values() for one in times]
    goal, goal_p90 = max(GOAL, 1.25 * median(floors)), max(GOAL_P90, 1.5 * percentile(floors, 0.9))
    p90 = percentile(every, 0.9)
    words = f"median {'holds' if value.low <= goal else 'missed'}, 90th percentile {p90:.3f} of {goal_p90:.3f}: "
    words += "holds" if p90 <= goal_p90 else "missed"
    holds = value.low <= goal and p90 <= goal_p90
    numbers = (value.value, value.low, value.high, median(floors), len(every), goal, holds)
    title = "_".join(("prediction_error", *options.engines, *options.models))
    report(Figure(title, *numbers, machine(), options.seed, words, table(measured, floors)), options)


if __name__ == "__main__":
    main()
