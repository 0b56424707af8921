"""What the simulator is given of a scenario's machines: measured on nodes of their own, at rest, before any judged run.

The plans are those that the edge offers, with the costs that it measured at its start. Each plan is then asked for, one
request after the other, and its times become those of these requests: their 10th percentile, and by how much the median
lies above it. What such a request takes besides its stages and its bytes is the overhead.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import zstandard

from benchmarks.fidelity_site import live_site, shape_at_start
from benchmarks.fidelity_subjects import Installed
from isthmus.client import AsyncClient
from nodes.measure.timing import percentile
from partitioner.measurements import AffineTime
from partitioner.plan import InputForm
from partitioner.plan_table import Curve, PlanEntry, PlanTable, scaled_curve
from simulations.link_emulator import LinkShape
from simulations.scenario.scenario import Scenario

__all__ = ["Profile", "Sample", "measured_entry", "profile"]

ROUNDS, WARM_UPS, PAUSE_S, TIMEOUT_S, FLUSHED_S = 24, 3, 0.02, 30.0, 1.2


@dataclass(frozen=True, slots=True)
class Profile:
    """table: plans with their costs. overhead_s: of a request that stays on the edge; crossing_s: what one that crosses
    takes on top."""

    table: PlanTable
    overhead_s: float
    crossing_s: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One request at rest. besides_s: of the client's time, what neither stages nor bytes and round trip explain."""

    edge_s: float
    cloud_s: float
    besides_s: float


async def profile(installed: Installed, scenario: Scenario, folder: Path) -> Profile:
    """Of the scenario's edge and one replica of its cloud, over its link as a run begins."""
    alone = scenario.model_copy(update={"cloud": scenario.cloud.model_copy(update={"replicas": 1, "failures": ()})})
    journal, shape = folder / "journal", shape_at_start(scenario)
    async with live_site(installed, alone, folder, journal) as site:
        await site.client.infer(installed.name, installed.inputs, TIMEOUT_S)  # type: ignore[arg-type]
        await asyncio.sleep(FLUSHED_S)
        table = last_table(journal)
        form: InputForm = "tensor" if installed.subject.file is None else "bytes"
        samples = await _samples(site.client, installed, table.for_form(form), shape, scenario.seed)
    entries = tuple(
        measured_entry(entry, samples[entry.plan.plan_id]) if entry.plan.plan_id in samples else entry
        for entry in table.entries
    )
    kinds = {entry.plan.plan_id: entry.plan.kind for entry in entries}
    stays = [one.besides_s for plan_id, given in samples.items() if kinds[plan_id] == "edge-only" for one in given]
    crosses = [one.besides_s for plan_id, given in samples.items() if kinds[plan_id] != "edge-only" for one in given]
    return Profile(replace(table, entries=entries), median(stays), median(crosses) - median(stays))


def last_table(journal: Path) -> PlanTable:
    """The plans that the last decision of a log chose from."""
    tables = []
    for path in sorted(journal.iterdir()):
        data = path.read_bytes()
        text = zstandard.ZstdDecompressor().stream_reader(data).read() if path.suffix == ".zst" else data
        lines = map(json.loads, text.splitlines())
        tables += [line["plans"] for line in lines if line["kind"] == "table"]
    return PlanTable.from_json(json.dumps(tables[-1]))


async def _samples(
    client: AsyncClient, installed: Installed, entries: Sequence[PlanEntry], shape: LinkShape, seed: int
) -> dict[str, list[Sample]]:
    order = random.Random(seed)
    found: dict[str, list[Sample]] = {entry.plan.plan_id: [] for entry in entries}
    for turn in range(WARM_UPS + ROUNDS):
        for entry in order.sample(entries, len(entries)):
            sample = await _ask(client, installed, entry, shape)
            if turn >= WARM_UPS:
                found[entry.plan.plan_id].append(sample)
            await asyncio.sleep(PAUSE_S)
    return found


async def _ask(client: AsyncClient, installed: Installed, entry: PlanEntry, shape: LinkShape) -> Sample:
    began_s = time.perf_counter()
    result = await client.infer(installed.name, installed.inputs, TIMEOUT_S, plan_id=entry.plan.plan_id)  # type: ignore[arg-type]
    took_s = time.perf_counter() - began_s
    edge_s, cloud_s = 1e-3 * result.timings["edge"], 1e-3 * result.timings["cloud"]
    wire_s = 0.0
    if entry.plan.kind != "edge-only":
        up, down = entry.uplink_bytes(1, installed.input_bytes or 0), entry.downlink_bytes(1)
        wire_s = 8 * up / shape.uplink_bps + 8 * down / shape.downlink_bps + shape.rtt_s
    return Sample(edge_s, cloud_s, took_s - edge_s - cloud_s - wire_s)


def measured_entry(entry: PlanEntry, samples: Sequence[Sample]) -> PlanEntry:
    """The plan's costs as these requests had them; batches grow or shrink as one item did."""
    costs = entry.costs
    edge, edge_spread = _measured(costs.edge, [one.edge_s for one in samples])
    cloud, cloud_spread = costs.cloud, 0.0
    if entry.plan.kind != "edge-only":
        cloud, cloud_spread = _measured(costs.cloud, [one.cloud_s for one in samples])
    measured = replace(
        costs,
        edge=edge,
        cloud=cloud,
        edge_spread=edge_spread,
        cloud_spread=cloud_spread,
        prefix_s=_paced(costs.prefix_s, costs.edge, edge),
        suffix_s=_paced(costs.suffix_s, costs.cloud, cloud),
    )
    return replace(entry, costs=measured)


def _paced(curve: Curve, before: AffineTime, now: AffineTime) -> Curve:
    return scaled_curve(curve, now.at(1) / before.at(1) if before.at(1) > 0 else 1.0)


def _measured(law: AffineTime, seconds: Sequence[float]) -> tuple[AffineTime, float]:
    """The law with the 10th percentile for one item, and by what share of it the median lies above it."""
    low, before = percentile(sorted(seconds), 0.1), law.at(1)
    factor = low / before if before > 0 else 1.0
    made = AffineTime(law.fixed_s * factor, law.per_item_s * factor) if before > 0 else AffineTime(low, 0.0)
    return made, median(seconds) / low - 1.0 if low > 0 else 0.0
