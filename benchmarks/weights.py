"""What do more plans of a model cost a cloud replica in memory? Resident memory with 20 plans over that with one.

Each round starts cloud processes that serve all-MiniLM-L6-v2 (90 MB of weights, real ones): one is asked to prepare 20
plans of as many cuts, two to prepare the first of them. All run each plan as a replica does, to warm and time it. What
counts is PSS (what is mapped by several processes is shared out among them) as the kernel tells it of the process;
the two with one plan, one over the other, are the floor.

What a process takes without any model or plan is the compute library's own, and makes every such ratio smaller: so
it is stated, with the ratio of what is above it. The goal is for the engine eager; --engines states others beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from benchmarks.batching_load import NobodyListens
from benchmarks.figure import Options, PairedSamples, parse_options, ratio_figure, report
from benchmarks.node_process import NodeProcess
from isthmus.errors import IsthmusError
from isthmus.telemetry import configure_logging
from nodes.fleet import Endpoint
from nodes.model_loading import load_models
from nodes.model_runtime import plan_definition
from nodes.plan_shapes import cut_plan
from nodes.protocol.events import PlanDefinition
from nodes.settings import CloudSettings, ModelArtifact
from nodes.transport.registry_server import RegistryServer
from nodes.transport.segment_client import SegmentClient
from partitioner.artifact import save_artifact
from partitioner.model import Model
from partitioner.model_source import resolve_model
from scheduler.estimators.load import CloudQueueEstimator
from scheduler.fleet_registry import FleetRegistry

GOAL, PLANS, ROUNDS = 1.15, 20, 5
MODEL, SOURCE = "all-MiniLM-L6-v2", "isthmus.zoo:minilm"
LIBRARY = "import sys, torch; torch.mm(torch.ones(8, 8), torch.ones(8, 8)); print(1, flush=True); sys.stdin.read()"


def memory_bytes(pid: int) -> dict[str, int]:
    """ "Pss", "Rss", and "Uss" (private) of a process, from /proc/PID/smaps_rollup."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    sizes = {line.split(":")[0]: 1024 * int(line.split()[1]) for line in lines}
    return {"Pss": sizes["Pss"], "Rss": sizes["Rss"], "Uss": sizes["Private_Clean"] + sizes["Private_Dirty"]}


def library_bytes() -> int:
    """PSS of a process that has imported torch and run one op."""
    child = subprocess.Popen([sys.executable, "-c", LIBRARY], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        child.stdout.readline()
        return memory_bytes(child.pid)["Pss"]
    finally:
        child.communicate()


def plans(model: Model) -> Iterator[PlanDefinition]:
    """Cuts through the whole depth of the model, in the order in which they are to be tried; int8 on the way up."""
    ops = [op.name for op in model.graph.ops]
    for number in range(4 * PLANS):
        count = len(ops) * (number * 7 % (4 * PLANS)) // (4 * PLANS)
        yield plan_definition(cut_plan(model, tuple(ops[:count]), {}, "int8"))


async def prepared(client: SegmentClient, offers: Sequence[PlanDefinition], wanted: int) -> int:
    """Have so many of the offers prepared; returns how many were."""
    ready = 0
    for offer in offers:
        if ready == wanted:
            break
        with contextlib.suppress(IsthmusError):  # a cut whose halves cannot be had apart
            await client.prepare(offer)
            ready += 1
    return ready


async def measured(
    settings: CloudSettings, offers: Sequence[PlanDefinition], wanted: int
) -> tuple[dict[str, int], ...]:
    """Memory of a fresh replica before any plan, and with `wanted` plans."""
    cloud = NodeProcess("cloud", settings)
    try:
        await cloud.start()
        before = memory_bytes(cloud.pid)
        client = await SegmentClient.connect(Endpoint(cloud.address), "bench", NobodyListens(), CloudQueueEstimator())
        ready = await prepared(client, offers, wanted)
        after = memory_bytes(cloud.pid)
        await client.close()
        assert ready == wanted, f"{ready} of {wanted} plans could be prepared"
        return before, after
    finally:
        await cloud.end(kill=True)


async def measure(options: Options, engine: str, rounds: int) -> tuple[PairedSamples, dict[str, object]]:
    configure_logging("critical")
    order = random.Random(options.seed)
    samples: dict[str, list[int]] = {"many": [], "one": [], "again": []}
    bare, uss = list[int](), {"many": list[int](), "one": list[int](), "again": list[int]()}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / MODEL
        save_artifact(resolve_model(SOURCE).renamed(MODEL), folder)
        artifact = ModelArtifact(MODEL, str(folder))
        model = load_models((artifact,))[MODEL]  # as the replica does: under this name, which its digest holds
        offers = list(plans(model))
        registry = await RegistryServer.start(FleetRegistry(), "127.0.0.1:0")
        settings = CloudSettings((artifact,), "127.0.0.1:0", registry.address, engine=engine)
        try:
            for _ in range(rounds):
                for which in order.sample(sorted(samples), 3):
                    before, after = await measured(settings, offers, PLANS if which == "many" else 1)
                    bare.append(before["Pss"])
                    samples[which].append(after["Pss"])
                    uss[which].append(after["Uss"])
        finally:
            await registry.stop()
    library = library_bytes()
    many, one = median(samples["many"]), median(samples["one"])
    details: dict[str, object] = {
        "engine": engine,
        "PSS": f"{PLANS} plans {many / 1e6:.1f} MB, one {one / 1e6:.1f} MB, none {median(bare) / 1e6:.1f} MB",
        "USS": f"{PLANS} plans {median(uss['many']) / 1e6:.1f} MB, one {median(uss['one']) / 1e6:.1f} MB",
        "compute library alone (torch imported, one op)": f"{library / 1e6:.1f} MB PSS",
        "above the library": f"{(many - library) / (one - library):.3f} times as much",
        "a plan more": f"{(many - one) / (PLANS - 1) / 1e6:.2f} MB",
        "model": f"{MODEL}, {sum(tensor.nbytes for tensor in model.weights.values()) / 1e6:.1f} MB of weights",
    }
    paired = PairedSamples(*(tuple(map(float, samples[which])) for which in ("many", "one", "again")))
    return paired, details


def main() -> None:
    options = parse_options(__doc__ or "", engines=True)
    rounds = 2 if options.quick else ROUNDS
    paired, details = asyncio.run(measure(options, "eager", rounds))
    for engine in options.engines:
        other, told = asyncio.run(measure(options, engine, rounds))
        ratio = median(a / b for a, b in zip(other.a, other.b, strict=True))
        details[f"beside it, {engine}"] = f"{ratio:.3f}; {told['PSS']}; {told['a plan more']} a plan"
    report(ratio_figure("weights", paired, GOAL, options, details=details), options)


if __name__ == "__main__":
    main()
