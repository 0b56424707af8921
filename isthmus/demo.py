"""`isthmus demo`: the main job on this machine: a real model, real photos, an emulated link, each choice explained."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from isthmus.answers import best_classes
from isthmus.client import AsyncClient, Result
from isthmus.configuration import (
    BatchingConfiguration,
    CloudConfiguration,
    Configuration,
    EdgeConfiguration,
    LinkConfiguration,
    ModelConfiguration,
)
from isthmus.deployment import Deployment, Sides, deploy
from isthmus.errors import NotFound
from isthmus.interruption import interruptible
from isthmus.model_export import export_models
from isthmus.units import format_bandwidth, format_duration
from isthmus.zoo import demo_photos
from nodes.compute_pool import ComputePool
from nodes.engines.allocator import keep_freed_memory
from nodes.engines.factory import engine_for
from nodes.measure.device_profile import measure_device, measure_model
from nodes.model_loading import RATED_CODECS
from nodes.plan_shapes import cut_plan
from partitioner.artifact import load_artifact
from partitioner.cost_model import Costing
from partitioner.link import Link
from partitioner.model import Model
from partitioner.partition import Setting, partition_graph
from partitioner.picture import cut_picture
from partitioner.plan import Plan
from partitioner.scaled_profile import slowed_profile
from simulations.link_emulator import LinkShape

__all__ = ["LINKS", "SLOWDOWN", "run_demo"]

RuntimeName = Literal["ray", "process"]

MODEL = "efficientnet-lite0"
SLOWDOWN = 4.0
LINKS = (Link(2e6, 2e6, 0.1), Link(5e6, 5e6, 0.04), Link(20e6, 20e6, 0.02), Link(200e6, 200e6, 0.005))
PICTURED_LINK = LINKS[2]
MEASURE_BUDGET_S = 0.5
SETTLE_S = 0.6  # an echo measures the new round trip
REQUESTS_TO_LEARN = 5
PHOTOS = 2
TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to answer a request: its title, and the policy that forces it ("" for the configured one)."""

    title: str
    policy: str


async def run_demo(output: Path, runtime: RuntimeName) -> None:
    """Run it all, print it, leave `cut.svg` in `output`. Raises NotFound without the extra `zoo`."""
    console = Console()
    photos = demo_photos()[-PHOTOS:]
    if not photos:
        raise NotFound("photos: none found; install the extra: pip install 'isthmus[zoo]'")
    started_s = time.monotonic()
    configuration = _configuration(runtime)
    async with interruptible():
        with console.status("exporting the model, starting edge and cloud, measuring"):
            console.print(f"[yellow]emulated: the edge is {SLOWDOWN:g} times slower than this machine; so is the link")
            export = partial(export_models, configuration.models, Path.cwd(), console.log)
            async with deploy(configuration, Sides(True, True), export, console.log) as running:
                console.log(f"all plans measured after {time.monotonic() - started_s:.0f} s")
                model = load_artifact(running.artifacts[0].path)
                console.print(f"{MODEL}: {len(model.graph.ops)} ops, digest {model.digest[:12]}")
                plan, picture = await asyncio.to_thread(_leave_picture, model, output)
                console.print(f"at {PICTURED_LINK} the solver's cut is {plan.kind}, drawn in {picture}")
                async with AsyncClient(running.gateway) as client:
                    for link in LINKS:
                        await _show_link(console, client, running, model, link, photos)
    console.print(f"done in {time.monotonic() - started_s:.0f} s")


def _configuration(runtime: RuntimeName) -> Configuration:
    first = LINKS[0]
    alone = BatchingConfiguration(max_batch=1)  # one request at a time: nothing to join, nothing to measure for it
    return Configuration.model_validate(
        {
            "models": [ModelConfiguration(name=MODEL, source="isthmus.zoo:efficientnet_lite0")],
            "edge": EdgeConfiguration(listen="127.0.0.1:0", runtime=runtime, emulate_slowdown=SLOWDOWN, batching=alone),
            "cloud": CloudConfiguration(registry_listen="127.0.0.1:0", runtime=runtime, batching=alone),
            "link": LinkConfiguration(bandwidth=first.uplink_bps, rtt=first.rtt_s),
        }
    )


def _ways(model: Model) -> tuple[_Way, ...]:
    def cloud_only(codec: str) -> str:
        plan = cut_plan(model, (), {"image": codec}, form="bytes")
        return f"fixed:{plan.plan_id}"

    return (
        _Way("edge-only", "edge-only"),
        _Way("cloud-only, raw tensor", cloud_only("raw")),
        _Way("cloud-only, file as it arrived", cloud_only("file")),
        _Way("cloud-only, lossless WebP", cloud_only("webp")),
        _Way("best split", "fixed:split"),
        _Way("[bold]policy: latency", ""),
    )


async def _show_link(
    console: Console, client: AsyncClient, running: Deployment, model: Model, link: Link, photos: tuple[Path, ...]
) -> None:
    assert running.link is not None
    running.link.set_shape(LinkShape(link.uplink_bps, link.downlink_bps, link.rtt_s))
    await asyncio.sleep(SETTLE_S)
    ways = _ways(model)
    for _ in range(REQUESTS_TO_LEARN):  # the estimate follows real transfers
        await client.infer(MODEL, {"image": photos[0]}, timeout_s=TIMEOUT_S, policy="fixed:split")
    for photo in photos:
        title = f"{photo.name} over {format_bandwidth(link.uplink_bps)}, RTT {format_duration(link.rtt_s)}"
        results = [(way, await _timed(client, photo, way)) for way in ways]
        console.print(_table(title, model, results))
        chosen = results[-1][1][0]
        console.print(f"  {chosen.parameters.get('isthmus_reason', '')}")
        console.print(_verdict(results))


async def _timed(client: AsyncClient, photo: Path, way: _Way) -> tuple[Result, float]:
    started_s = time.monotonic()
    result = await client.infer(MODEL, {"image": photo}, timeout_s=TIMEOUT_S, policy=way.policy or None)
    return result, time.monotonic() - started_s


def _table(title: str, model: Model, results: list[tuple[_Way, tuple[Result, float]]]) -> Table:
    table = Table(title=title, title_justify="left", show_edge=False)
    for column in ("plan", "predicted", "measured", "on the wire", "class"):
        table.add_column(column, justify="left" if column in ("plan", "class") else "right")
    labels = model.interface.outputs[0].labels
    for way, (result, seconds) in results:
        wire_kb = float(result.parameters.get("isthmus_wire_bytes", 0)) / 1e3
        best = best_classes(result.outputs["logits"], labels, count=1)[0]
        table.add_row(
            way.title, f"{result.timings['predicted']:.0f} ms", f"{seconds * 1e3:.0f} ms", f"{wire_kb:.1f} kB", best
        )
    return table


def _verdict(results: list[tuple[_Way, tuple[Result, float]]]) -> str:
    """Says it where not splitting wins."""
    forced = [(way.title, seconds) for way, (_, seconds) in results[:-1]]
    title, best_s = min(forced, key=lambda item: item[1])
    split_s = dict(forced)["best split"]
    if title == "best split":
        return f"  splitting wins here: {best_s * 1e3:.0f} ms\n"
    return f"  not splitting wins here: {title}, {best_s * 1e3:.0f} ms against {split_s * 1e3:.0f} ms\n"


def _leave_picture(model: Model, output: Path) -> tuple[Plan, Path]:
    """Measure this machine, take it as the cloud and, slowed, as the edge, cut for the third link, and draw the graph
    with the cut.
    """
    keep_freed_memory()
    engine = engine_for("eager", "cpu", threads=1)
    with ComputePool(1) as pool:
        device = pool.run_blocking(measure_device, MEASURE_BUDGET_S, engine, RATED_CODECS)
        cloud = pool.run_blocking(measure_model, model, device, engine, budget_s=MEASURE_BUDGET_S)
    edge = slowed_profile(cloud, SLOWDOWN)
    plan = partition_graph(model, Setting(edge, cloud, PICTURED_LINK, Costing(lossless=False)))
    output.mkdir(parents=True, exist_ok=True)
    picture = output / "cut.svg"
    picture.write_text(cut_picture(model.graph, plan))
    return plan, picture
