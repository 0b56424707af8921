"""The comparisons of Neurosurgeon and DADS re-made, then once more against a cloud that gets an encoded input.

python benchmarks/published_settings.py [--quick] [--json] [--record]
Op times of each network are measured here once and scaled to the papers' devices (`published.py` says what of them is
not verified); the best plan is the frontier's. Four worlds. "float32": input and features cross as float32 tensors.
"pixels": the input crosses as raw 8-bit pixels. "lossless": it may also be PNG or WebP, features zstd. "lossy": also
JPEG (quality 95), features int8; the weights are random, so what that does to answers is not judged. The value is the
mean speed-up over cloud-only with raw pixels in Neurosurgeon's settings; its interval resamples the cells (network,
device, link).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from statistics import fmean

from benchmarks.encoded_pictures import PictureCodecs, measure_picture_codecs
from benchmarks.figure import Figure, Options, bootstrap, machine, parse_options, report
from benchmarks.networks import network
from benchmarks.plan_pool import PlanPool, plan_pool
from benchmarks.published import DADS, NEUROSURGEON, Study
from isthmus.api import measure_device, measure_model
from partitioner.condition import Condition
from partitioner.link import Link
from partitioner.profiles import DeviceProfile

QUICK = ("alexnet", "resnet18")
STUDIES = (NEUROSURGEON, DADS)
WORLDS = ("float32", "pixels", "lossless", "lossy")
AS_PUBLISHED = WORLDS[:2]
Pools = Mapping[str, Mapping[str, PlanPool]]  # by network, then world


@dataclass(frozen=True, slots=True)
class Cell:
    """One network on one device over one link in one world: seconds of the ways, and per request in a full pipeline."""

    name: str
    world: str
    latency_s: Mapping[str, float]
    busiest_s: Mapping[str, float]
    best_kind: str

    def gain(self, over: str, throughput: bool = False) -> float:
        """How many times better the best plan is than `over` ("edge-only" or "cloud-only")."""
        seconds = self.busiest_s if throughput else self.latency_s
        return seconds[over] / seconds["best"]


def measure(names: tuple[str, ...], pictures: PictureCodecs, profile: DeviceProfile) -> tuple[Pools, DeviceProfile]:
    """The plans of every network in every world, and the profile that they were made with."""
    pools: dict[str, dict[str, PlanPool]] = {}
    for name in names:
        model = network(name)
        profile = measure_model(model, profile)
        pools[name] = {world: plan_pool(model, profile, pictures.costing(world)) for world in WORLDS}
    return pools, profile


def cells(study: Study, pools: Pools, alexnet_s: float) -> Iterator[Cell]:
    """Every cell of a study."""
    for name in (name for name in study.networks if name in pools):
        for device, edge_s in study.edges.items():
            for link, bps in study.uplinks_bps.items():
                condition = Condition(Link(bps, bps, 0.0), edge_s / alexnet_s, study.cloud_s / alexnet_s)
                for world, pool in pools[name].items():
                    yield cell(f"{name}, {device}, {link}", world, pool, condition)


def cell(name: str, world: str, pool: PlanPool, condition: Condition) -> Cell:
    """What the best plan and the best of either unsplit kind take."""
    best = pool.quickest(condition)
    unsplit = {kind: pool.of_kind(kind) for kind in ("edge-only", "cloud-only")}
    latency_s = {kind: plans.quickest(condition).costs.seconds(condition) for kind, plans in unsplit.items()}
    busiest_s = {kind: plans.least_busiest_s(condition) for kind, plans in unsplit.items()}
    latency_s["best"], busiest_s["best"] = best.costs.seconds(condition), pool.least_busiest_s(condition)
    return Cell(name, world, latency_s, busiest_s, pool.kind(best))


def summary(study: Study, found: list[Cell]) -> dict[str, object]:
    """The study's own figures beside what is found, world by world."""
    rows: dict[str, object] = {}
    for world in WORLDS:
        here = [one for one in found if one.world == world]
        for what, over in product(("latency", "throughput"), ("edge-only", "cloud-only")):
            gains = [one.gain(over, what == "throughput") for one in here]
            said = published(study, f"{what} over {over}") if world in AS_PUBLISHED else ""
            rows[f"{study.name} {world}: {what} over {over}"] = f"mean {fmean(gains):.2f}, max {max(gains):.2f}{said}"
        better = [min(one.gain("edge-only"), one.gain("cloud-only")) for one in here]
        text = f"mean {fmean(better):.3f}, max {max(better):.2f}"
        rows[f"{study.name} {world}: latency over the better of both"] = text
        rows[f"{study.name} {world}: the best is"] = dict(Counter(one.best_kind for one in here))
    return rows


def published(study: Study, what: str) -> str:
    """What the paper says of it."""
    said = {end: study.published.get(f"{what}, {end}") for end in ("mean", "max")}
    notes = ", ".join(f"{end} {value:g}" for end, value in said.items() if value is not None)
    return f" (published: {notes})" if notes else ""


def table(found: list[Cell]) -> dict[str, object]:
    """A row for each cell: milliseconds in each world."""
    rows: dict[str, list[str]] = {}
    for one in found:
        ways = ", ".join(f"{way} {1e3 * seconds:.0f}" for way, seconds in one.latency_s.items())
        rows.setdefault(one.name, []).append(f"{one.world}: {ways} ({one.best_kind})")
    return {f"ms, {name}": "; ".join(worlds) for name, worlds in rows.items()}


def reached(study: Study, found: list[Cell], world: str) -> list[str]:
    """Which of the published figures are reached in that world."""
    here, words = [one for one in found if one.world == world], []
    for figure, said in study.published.items():
        what, _, rest = figure.partition(" over ")
        over, _, end = rest.partition(", ")
        gains = [one.gain(over, what == "throughput") for one in here]
        got = max(gains) if end == "max" else fmean(gains)
        words.append(f"{study.name} {figure}: {got:.2f} of {said:g}{'' if got >= said else ', missed'}")
    return words


def setup(profile: DeviceProfile, networks: tuple[str, ...], pictures: PictureCodecs) -> dict[str, object]:
    """What the figures rest on."""
    whole_s = {name: t.whole.seconds for name, t in zip(networks, profile.op_times, strict=True)}
    factors = {
        f"{study.name}, {device}": f"{edge_s / whole_s['alexnet']:.1f} times slower"
        for study in STUDIES
        for device, edge_s in study.edges.items()
    }
    return {
        "ms of each network here": {name: round(1e3 * seconds, 1) for name, seconds in whole_s.items()},
        "edges, against this machine": factors,
        "cloud, against this machine": f"{whole_s['alexnet'] / NEUROSURGEON.cloud_s:.1f} times faster",
        "bytes of the input": pictures.sizes,
    }


def figure(options: Options) -> Figure:
    """Measure and judge."""
    pictures, profile = measure_picture_codecs(measure_device(2.0))
    networks = tuple(name for name in NEUROSURGEON.networks if name in QUICK or not options.quick)
    pools, profile = measure(networks, pictures, profile)
    alexnet_s = profile.op_times[networks.index("alexnet")].whole.seconds
    found = {study.name: list(cells(study, pools, alexnet_s)) for study in STUDIES}
    details = setup(profile, networks, pictures)
    for study in STUDIES:
        details |= {f"source of {study.name}": study.source, **summary(study, found[study.name])}
    details |= table([one for ones in found.values() for one in ones])
    gains = [one.gain("cloud-only") for one in found[NEUROSURGEON.name] if one.world == "pixels"]
    value, goal = bootstrap(gains, options.seed, fmean), NEUROSURGEON.published["latency over cloud-only, mean"]
    words = "; ".join(word for study in STUDIES for word in reached(study, found[study.name], "pixels"))
    numbers = (value.value, value.low, value.high, 1.0, len(gains), goal, value.value >= goal)
    return Figure("published_settings", *numbers, machine(), options.seed, words, details)


def main() -> None:
    """Print the figure."""
    options = parse_options(__doc__)
    report(figure(options), options)


if __name__ == "__main__":
    main()
