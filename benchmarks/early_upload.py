"""What does it save to send a boundary tensor as soon as it exists, on a link of 20 Mbit/s and 30 ms round trip?

An encoder and decoder with a skip: two tensors cross, a large one that the encoder makes early and a small one that it
ends with. A is the request whose first tensor leaves at once, B that whose tensors leave when the prefix ended; both
are whole requests of an edge in this process (emulated 4 times slower) to a replica in a process of its own. The value
is the time of A over that of B. Their answers are the same bits.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from statistics import median

import torch
from torch import Tensor, nn

from benchmarks.figure import Figure, Options, measure_pairs, parse_options, ratio_figure, report
from benchmarks.upload_site import upload_site
from nodes.engines.eager import EagerEngine
from nodes.halves import EdgeHalf
from nodes.model_runtime import wire_codecs
from nodes.plan_shapes import cut_plan
from nodes.request_run import Answer
from partitioner.front_end import model_from_module
from partitioner.model import Model
from partitioner.plan import Plan
from simulations.link_emulator import LinkShape

SHAPE, SLOWDOWN, GOAL = LinkShape(20e6, 20e6, 0.03), 4.0, 0.9
WARM_UP, QUICK_ROUNDS, ROUNDS = 5, 30, 100


class Skipping(nn.Module):
    """What crosses: 12 channels of 48 x 48 (111 kB) early, 16 of 6 x 6 (2 kB) at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 12, 3, stride=2, padding=1)
        widths = (12, 64, 64, 64, 64)
        self.encoder = nn.Sequential(
            *(layer for a, b in itertools.pairwise(widths) for layer in (nn.Conv2d(a, b, 3, padding=1), nn.ReLU())),
            nn.Conv2d(64, 16, 3, stride=8, padding=1),
        )
        self.decoder = nn.Sequential(nn.Upsample(scale_factor=8), nn.Conv2d(16, 12, 3, padding=1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        skip = torch.relu(self.first(x))
        deep = torch.relu(self.encoder(skip))
        return torch.cat([self.decoder(deep), skip], 1).mean((2, 3))


def made_model() -> Model:
    torch.manual_seed(0)
    return model_from_module(Skipping().eval(), (torch.zeros(2, 3, 96, 96),), "skipping")


def cut(model: Model) -> Plan:
    """After the encoder."""
    ops = [op.name for op in model.graph.ops]
    return cut_plan(model, tuple(ops[: ops.index("relu_5") + 1]), {}, "raw")


async def measure(options: Options) -> Figure:
    async with upload_site(made_model(), cut, SHAPE, SLOWDOWN) as running:
        connection, ready = running.connection, running.ready
        plan = ready.entry.plan
        codecs = wire_codecs(plan.boundary), wire_codecs(plan.downlink)
        at_end = replace(ready, half=EdgeHalf(running.model, plan.edge_ops, *codecs, EagerEngine(), SLOWDOWN))
        for one in (ready, at_end) * WARM_UP:
            await running.ask(one, connection)
        early, late = await running.ask(ready, connection), await running.ask(at_end, connection)
        assert all(torch.equal(a, b) for (_, a), (_, b) in zip(early.outputs, late.outputs, strict=True))

        answers: list[Answer] = []
        rounds = QUICK_ROUNDS if options.quick else ROUNDS
        a, b = (running.seconds(one, connection, answers) for one in (ready, at_end))
        samples = await asyncio.to_thread(measure_pairs, a, b, rounds, options.seed)
    boundary = {tensor.tensor: f"{tensor.bytes} bytes" for tensor in plan.boundary}
    details = {
        "emulated": f"the edge is {SLOWDOWN:g} times slower than this machine; 20 Mbit/s, 30 ms round trip",
        "boundary, in the order of making": boundary,
        "prefix": f"{median(one.timings.edge_s for one in answers) * 1e3:.1f} ms, the median",
    }
    return ratio_figure("early_upload", samples, GOAL, options, details=details)


def main() -> None:
    options = parse_options(__doc__ or "")
    report(asyncio.run(measure(options)), options)


if __name__ == "__main__":
    main()
