"""How far is the predicted time of a plan from the measured one? The demo's model, photos, links and slowdown.

Error: |isthmus_predicted_ms - measured| / measured, measured by a client outside the edge, of every way of the demo on
every link, each way forced in turn, in random order after requests from which the edge learns the link. Value: the
median of all requests; its interval resamples whole cells (link, way, photo). Floor: the same error of a prediction
that knows the cell's other requests (their median): what no predictor gets below on this machine.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from benchmarks.figure import Figure, Interval, Options, machine, parse_options, report
from isthmus.client import AsyncClient
from isthmus.configuration import (
    CloudConfiguration,
    Configuration,
    EdgeConfiguration,
    LinkConfiguration,
    ModelConfiguration,
)
from isthmus.demo import LINKS, SLOWDOWN
from isthmus.deployment import Deployment, Sides, deploy, export_models
from isthmus.zoo import demo_photos
from nodes.plan_shapes import cut_plan
from partitioner.artifact import load_artifact
from partitioner.link import Link
from partitioner.model import Model
from simulations.link_emulator import LinkShape

GOAL, LEARN, SETTLE_S, TIMEOUT_S = 0.15, 6, 1.2, 30.0
MODEL, SOURCE = "efficientnet-lite0", "isthmus.zoo:efficientnet_lite0"
Cell = tuple[str, str, str]  # link, way, photo
Times = tuple[float, float]  # predicted, measured, in ms
Measured = dict[Cell, list[Times]]


def ways(model: Model) -> Mapping[str, str]:
    """The policy that forces each way of the demo."""
    ids = {codec: cut_plan(model, (), {"image": codec}, form="bytes").plan_id for codec in ("raw", "file", "webp")}
    cloud_only = {f"cloud-only {codec}": f"fixed:{plan_id}" for codec, plan_id in ids.items()}
    return {"edge-only": "edge-only", **cloud_only, "split": "fixed:split"}


async def measure_link(running: Deployment, client: AsyncClient, link: Link, model: Model, opts: Options) -> Measured:
    assert running.link is not None
    running.link.set_shape(LinkShape(link.uplink_bps, link.downlink_bps, link.rtt_s))
    await asyncio.sleep(SETTLE_S)
    photos = demo_photos()[-1:] if opts.quick else demo_photos()
    for _ in range(LEARN):
        await client.infer(MODEL, {"image": photos[-1]}, TIMEOUT_S, "fixed:split")
    repeats = 3 if opts.quick else 6
    rounds = [(way, policy, photo) for way, policy in ways(model).items() for photo in photos] * repeats
    random.Random(opts.seed).shuffle(rounds)
    measured: Measured = {}
    for way, policy, photo in rounds:
        measured.setdefault((str(link), way, photo.name), []).append(await ask(client, photo, policy))
    return measured


async def ask(client: AsyncClient, photo: Path, policy: str) -> Times:
    started_s = time.perf_counter()
    result = await client.infer(MODEL, {"image": photo}, TIMEOUT_S, policy)
    return result.timings["predicted"], 1e3 * (time.perf_counter() - started_s)


async def measure(options: Options) -> Measured:
    configuration = Configuration(
        models=(ModelConfiguration(name=MODEL, source=SOURCE),),
        edge=EdgeConfiguration(listen="127.0.0.1:0", runtime="process", emulate_slowdown=SLOWDOWN),
        cloud=CloudConfiguration(registry_listen="127.0.0.1:0", runtime="process"),
        link=LinkConfiguration(bandwidth=LINKS[0].uplink_bps, rtt=LINKS[0].rtt_s),
    )
    artifacts = await asyncio.to_thread(export_models, configuration.models, Path.cwd(), lambda _: None)
    model = load_artifact(artifacts[0].path)
    measured: Measured = {}
    running_deployment = deploy(configuration, Sides(True, True), artifacts, lambda _: None)
    async with running_deployment as running, AsyncClient(running.gateway) as client:
        for link in LINKS:
            measured |= await measure_link(running, client, link, model, options)
    return measured


def errors(times: Sequence[Times]) -> list[float]:
    return [abs(predicted - took) / took for predicted, took in times]


def unavoidable(times: Sequence[Times]) -> list[float]:
    took = [one for _, one in times]
    return [abs(median(took[:i] + took[i + 1 :]) - one) / one for i, one in enumerate(took)]


def clustered(groups: Sequence[Sequence[float]], seed: int) -> Interval:
    """The median of all, with the bootstrap interval of whole groups (requests of one cell err together)."""
    source = random.Random(seed)
    drawn = sorted(median(x for g in source.choices(groups, k=len(groups)) for x in g) for _ in range(2000))
    return Interval(median(x for group in groups for x in group), drawn[50], drawn[1950])


def table(measured: Measured) -> Mapping[str, str]:
    """By link and way: the median error, and the median times."""
    rows: dict[str, list[Times]] = {}
    for (link, way, _), times in measured.items():
        rows.setdefault(f"{link}, {way}", []).extend(times)
    return {
        name: f"error {median(errors(ts)):.3f}, {median(p for p, _ in ts):.0f} ms predicted, "
        f"{median(t for _, t in ts):.0f} ms measured"
        for name, ts in rows.items()
    }


def main() -> None:
    options = parse_options(__doc__)
    measured = asyncio.run(measure(options))
    value = clustered([errors(times) for times in measured.values()], options.seed)
    floor = median(x for times in measured.values() for x in unavoidable(times))
    holds = value.low <= GOAL
    words = "holds" if holds else "cannot be told on this machine" if floor > GOAL else "missed"
    if holds and value.value > GOAL:
        words = "holds by the interval's better end only; the value itself is over the goal"
    n = sum(map(len, measured.values()))
    numbers = (value.value, value.low, value.high, floor, n, GOAL, holds)
    report(Figure("prediction_error", *numbers, machine(), options.seed, words, table(measured)), options)


if __name__ == "__main__":
    main()
