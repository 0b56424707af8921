"""What does it save to send the first pieces of a large tensor while the next ones are encoded?

One tensor of 24 MB crosses in zstd, on a link of 200 Mbit/s and 20 ms round trip, from an edge that is emulated 4 times
slower than this machine. A is the request whose pieces leave as they are encoded, B that whose tensor leaves when it is
encoded as a whole; both are whole requests of an edge in this process to a replica in a process of its own. The value
is the time of A over that of B. Their answers are the same bits. By the times of encoding and of the link it would be
`ideal`.
"""

from __future__ import annotations

import asyncio
import time
from statistics import median

import torch
from torch import Tensor, nn

from benchmarks.figure import Figure, Options, measure_pairs, parse_options, ratio_figure, report
from benchmarks.upload_site import upload_site
from nodes.codecs.factory import codec
from nodes.codecs.pieces import PIECES
from nodes.plan_shapes import cut_plan
from partitioner.front_end import model_from_module
from partitioner.model import Model
from partitioner.plan import Plan
from simulations.link_emulator import LinkShape

SHAPE, SLOWDOWN, GOAL = LinkShape(200e6, 200e6, 0.02), 4.0, 0.9
CHANNELS, SIDE = 24, 500
WARM_UP, QUICK_ROUNDS, ROUNDS = 2, 5, 20


class Wide(nn.Module):
    """24 channels of 500 x 500 cross: 24 MB of dense floats."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, CHANNELS, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.first(x)).mean((2, 3))


def made_model() -> Model:
    torch.manual_seed(0)
    return model_from_module(Wide().eval(), (torch.zeros(2, 3, 2 * SIDE, 2 * SIDE),), "wide")


def cut(model: Model) -> Plan:
    """After the tanh."""
    return cut_plan(model, tuple(op.name for op in model.graph.ops[:2]), {}, "zstd")


async def measure(options: Options) -> Figure:
    async with upload_site(made_model(), cut, SHAPE, SLOWDOWN) as running:
        ways = (running.connection, running.whole)
        for connection in ways * WARM_UP:
            await running.ask(running.ready, connection)
        pieces, whole = [await running.ask(running.ready, connection) for connection in ways]
        assert all(torch.equal(a, b) for (_, a), (_, b) in zip(pieces.outputs, whole.outputs, strict=True))

        rounds = QUICK_ROUNDS if options.quick else ROUNDS
        a, b = (running.seconds(running.ready, connection) for connection in ways)
        samples = await asyncio.to_thread(measure_pairs, a, b, rounds, options.seed)
        values = torch.randn(1, CHANNELS, SIDE, SIDE, generator=torch.Generator().manual_seed(options.seed))
        crossing = torch.tanh(values)
        began_s = time.perf_counter()
        codec("zstd").encode("x", crossing)
        encode_s = SLOWDOWN * (time.perf_counter() - began_s)
    whole_s = median(samples.b)
    hidden_s = encode_s * (PIECES - 1) / PIECES
    details = {
        "emulated": f"the edge is {SLOWDOWN:g} times slower than this machine; 200 Mbit/s, 20 ms round trip",
        "crosses": f"{whole.uplink_bytes} bytes, in {PIECES} pieces {pieces.uplink_bytes}",
        "a request as a whole": f"{whole_s * 1e3:.0f} ms, the median; encoding of it {encode_s * 1e3:.0f} ms",
        "ideal": f"{(whole_s - hidden_s) / whole_s:.3f}: all but the first piece's encoding costs nothing",
    }
    return ratio_figure("upload_in_pieces", samples, GOAL, options, details=details)


def main() -> None:
    options = parse_options(__doc__ or "")
    report(asyncio.run(measure(options)), options)


if __name__ == "__main__":
    main()
