"""Does the emulated link do what it says? One-way times over a grid of sizes, rates and round trips, in plain sockets.

Value: the worst cell's median error beyond 1 ms, relative to bytes/rate + RTT/2. Floor: the same transfers without the
emulator, which should take no time. The link runs in a process of its own.
"""

from __future__ import annotations

import random
from itertools import product
from statistics import median

from benchmarks.figure import Figure, Interval, Options, machine, parse_options, report
from benchmarks.loopback import fairness, grpc_one_way_times_s, one_way_s, sockets, step_s
from simulations.link_emulator import LinkShape
from simulations.link_process import LinkEmulatorProcess

GOAL, ALLOWED_S = 0.02, 0.001
QUICK = ((1_000, 100_000, 3_000_000), (1e6, 20e6, 200e6), (0.01, 0.2), 2.0)
FULL = ((1_000, 10_000, 100_000, 1_000_000, 3_000_000), (1e6, 5e6, 20e6, 100e6, 200e6), (0.01, 0.05, 0.2), 5.0)
Cell = tuple[int, float, float]
Times = dict[Cell, list[float]]


def expected_s(cell: Cell) -> float:
    size_bytes, rate_bps, rtt_s = cell
    return 8 * size_bytes / rate_bps + rtt_s / 2


def excess(cell: Cell, time_s: float, should_s: float) -> float:
    return max(0.0, abs(time_s - should_s) - ALLOWED_S) / expected_s(cell)


def measure_grid(link: LinkEmulatorProcess, options: Options) -> tuple[Times, Times]:
    """Through the link and directly, all cells in one random order; a cell whose transfer takes seconds gets fewer."""
    sizes, rates, rtts, budget_s = QUICK if options.quick else FULL
    cells = [cell for cell in product(sizes, rates, rtts) if not options.quick or expected_s(cell) < 3]
    rounds = [cell for cell in cells for _ in range(max(3, min(30, int(budget_s / expected_s(cell)))))]
    random.Random(options.seed).shuffle(rounds)
    shaped: Times = {cell: [] for cell in cells}
    direct: Times = {cell: [] for cell in cells}
    with sockets(link) as over_link, sockets(None) as without:
        one_way_s(*over_link, 100_000)  # warm-up
        for cell in rounds:
            link.set_shape(LinkShape(cell[1], cell[1], cell[2]))
            shaped[cell].append(one_way_s(*over_link, cell[0]))
            direct[cell].append(one_way_s(*without, cell[0]))
    return shaped, direct


def worst(times: Times, seed: int) -> tuple[Cell, Interval]:
    """The worst cell by its median, and the interval of the worst under resampling inside every cell."""
    source = random.Random(seed)
    errors = {cell: [excess(cell, time_s, expected_s(cell)) for time_s in ts] for cell, ts in times.items()}
    medians = {cell: median(values) for cell, values in errors.items()}
    drawn = sorted(max(median(source.choices(v, k=len(v))) for v in errors.values()) for _ in range(500))
    cell = max(medians, key=medians.__getitem__)
    return cell, Interval(medians[cell], drawn[12], drawn[487])


def main() -> None:
    options = parse_options(__doc__)
    with LinkEmulatorProcess(LinkShape(20e6, 20e6, 0.03), seed=options.seed) as link:
        shaped, direct = measure_grid(link, options)
        share, cpu_share = fairness(link, 1.0 if options.quick else 4.0)
        steps_s = [step_s(link) for _ in range(3 if options.quick else 10)]
        link.set_shape(LinkShape(200e6, 200e6, 0.2))
        over_grpc_s = grpc_one_way_times_s(link, 3_000_000, 5 if options.quick else 30)
    cell, value = worst(shaped, options.seed)
    floor = max(median(excess(c, t, 0.0) for t in times) for c, times in direct.items())
    details = {
        "worst_cell": dict(zip(("bytes", "bps", "rtt_s"), cell, strict=True)),
        "worst_cell_error_ms": round(1e3 * (median(shaped[cell]) - expected_s(cell)), 3),
        "without_emulator_ms": {c[0]: round(1e3 * median(t), 3) for c, t in direct.items()},
        "share_of_one_of_two_flows": round(share, 4),
        "rate_step_takes_effect_in_ms": round(1e3 * median(steps_s), 1),
        "emulator_cpu_share_at_50_mbps": round(cpu_share, 3),
        "grpc_3_mb_at_200_mbps_200_ms_over_link_time": round(
            median(over_grpc_s) / expected_s((3_000_000, 200e6, 0.2)), 4
        ),
        "grpc_options": "nodes/transport/channel_options.py: fixed 16 MiB window, no probing",
    }
    holds = value.low <= GOAL and abs(share - 0.5) <= 0.05 and median(steps_s) <= 0.05
    n = sum(map(len, shaped.values()))
    numbers = (value.value, value.low, value.high, floor, n, GOAL, holds)
    report(Figure("link_emulator", *numbers, machine(), options.seed, "holds" if holds else "missed", details), options)


if __name__ == "__main__":
    main()
