"""How long does a photo's classification take through Isthmus, and through what else one could use? Over one link.

efficientnet-lite0, whole photo files in, logits out, eager, one thread a process, everything on one machine. Edges are
slowed as in the demo by sleeping, those of peers too (what they do before bytes leave); servers are not. Every way is
asked in every round, in random order, for the same photo, Isthmus twice: the second is the floor. Nobody tells Isthmus
the link: requests before the rounds teach it. Peers: a grpc.aio server by hand and Ray Serve behind its own gRPC proxy,
each with the file and with the float32 tensor; LitServe with the file; axonmesh split at its default cut, split where
its planner says for the link, and sending the model-sized picture as JPEG. Answers of lossy ways are judged on framings
of photos that nothing was calibrated on, against the whole model. Value: Isthmus over the quickest peer whose answers
are within Isthmus's budget, on the worst link. --links: some of the links, with a record of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from PIL import Image

from benchmarks.figure import Figure, Interval, Options, bootstrap, machine, report, verdict
from benchmarks.peer_environments import AXONMESH, LITSERVE, TORCHSLICER, peer_python
from benchmarks.peer_site import ISTHMUS, Peers, Site, peers, site
from benchmarks.peer_ways import MODEL, Answer, IsthmusWay, Way
from benchmarks.photos import framings
from isthmus.cache_folder import cache_folder
from isthmus.errors import IsthmusError
from isthmus.interruption import interruptible
from isthmus.telemetry import configure_logging
from isthmus.zoo import calibration_photos, demo_photos
from nodes.measure.timing import percentile
from partitioner.link import Link

LINKS = {5: Link(5e6, 5e6, 0.04), 20: Link(20e6, 20e6, 0.02), 100: Link(100e6, 100e6, 0.01)}
QUICK_LINKS = (20,)  # most of it is starting everything
QUICKLY = Link(1e9, 1e9, 0.001)
GOAL, ROUNDS, QUICK_ROUNDS, LEARN, SETTLE_S, TIMEOUT_S = 1.0, 32, 3, 6, 1.2, 60.0
BUDGET = 0.02  # an edge's, for its lossy plans
EACH = 4  # framings of a photo
AGAIN, PLANNED = "Isthmus again", "axonmesh, as it plans"
Answers = Mapping[str, Sequence[Answer]]


@dataclass(frozen=True, slots=True)
class Judged:
    """Of how many pictures a way names the whole model's class."""

    same: int
    of: int

    @property
    def within_budget(self) -> bool:
        """Whether at most BUDGET of them differ."""
        return self.same >= (1 - BUDGET) * self.of


@dataclass(frozen=True, slots=True)
class Measured:
    """One link. answers: by way, a round each. judged: the lossy ones, on framings."""

    answers: Answers
    judged: Mapping[str, Judged]

    def over(self, way: str, baseline: str, seed: int) -> Interval:
        """The median of a way's times over another's, round by round."""
        pairs = zip(self.answers[way], self.answers[baseline], strict=True)
        return bootstrap([one.seconds / other.seconds for one, other in pairs], seed)

    def quickest(self) -> str:
        """The peer with the least median among those whose answers will do."""
        able = [way for way in self.answers if way not in (ISTHMUS, AGAIN) and self.will_do(way)]
        return min(able, key=lambda way: median(one.seconds for one in self.answers[way]))

    def will_do(self, way: str) -> bool:
        """Lossless, or judged to be within the budget."""
        return way not in self.judged or self.judged[way].within_budget


async def measure_rounds(
    ways: Mapping[str, Way], photos: Sequence[Path], rounds: int, source: random.Random
) -> dict[str, list[Answer]]:  # fmt: skip
    """Every way once a round, in random order, all for one photo; a first round is discarded."""
    answers: dict[str, list[Answer]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        photo = photos[number % len(photos)]
        for name in source.sample(list(ways), len(ways)):
            answer = await ways[name].ask(photo)
            if number > 0:
                answers[name].append(answer)
    return answers


class Jury:
    """Pictures, and the whole model's classes of them."""

    def __init__(self, pictures: Sequence[Path], classes: Sequence[int]) -> None:
        self._pictures, self._classes = pictures, classes
        self._judged: dict[str, Judged] = {}

    async def judge(self, name: str, way: Way) -> Judged:
        """A way's classes against those, asked for once under a name."""
        if name not in self._judged:
            told = [(await way.ask(picture)).best for picture in self._pictures]
            same = sum(one == other for one, other in zip(told, self._classes, strict=True))
            self._judged[name] = Judged(same, len(told))
        return self._judged[name]


def write_framings(folder: Path, each: int, seed: int) -> list[Path]:
    """Lossless files of framings of the photos that no codec was calibrated on."""
    calibrated = {path.stem for path in calibration_photos()}
    photos, paths = framings(each, seed), []
    for number, (pixels, group) in enumerate(zip(photos.pictures, photos.groups, strict=True)):
        if photos.names[group] not in calibrated:
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "PNG")
            paths.append(folder / f"{number}.png")
            paths[-1].write_bytes(buffer.getvalue())
    return paths


async def measure_link(
    here: Site, others: Peers, mbps: int, jury: Jury, options: Options
) -> Measured:  # fmt: skip
    link = LINKS[mbps]
    planned = {PLANNED: others.planned[mbps]} if mbps in others.planned else {}
    ways = {**here.ways, **others.ways, **planned}
    here.set_link(link)
    await asyncio.sleep(SETTLE_S)
    photos = demo_photos()
    for number in range(LEARN):  # the estimate follows real transfers
        await here.client.infer(MODEL, {"image": photos[number % len(photos)]}, TIMEOUT_S, "fixed:split")
    rounds = QUICK_ROUNDS if options.quick else ROUNDS
    source = random.Random(options.seed)
    answers = await measure_rounds(ways | {AGAIN: ways[ISTHMUS]}, photos, rounds, source)
    here.set_link(QUICKLY)  # answers do not depend on it
    plan_id = Counter(one.plan_id for one in answers[ISTHMUS]).most_common(1)[0][0]
    judged = {ISTHMUS: await jury.judge(plan_id, IsthmusWay(here.client, plan_id))}
    judged |= {name: await jury.judge(name, way) for name, way in others.ways.items() if name.startswith("axonmesh")}
    judged |= {name: await jury.judge(f"{name}, {mbps}", way) for name, way in planned.items()}
    return Measured(answers, judged)


async def measure(
    options: Options, mbps: Sequence[int], environments: Path
) -> tuple[dict[int, Measured], Peers] | None:
    """Every link in turn; None when a signal ended it."""
    configure_logging("critical")
    links = [LINKS[one] for one in mbps]
    pythons = {package: peer_python(package, environments) for package in (AXONMESH, LITSERVE, TORCHSLICER)}
    with tempfile.TemporaryDirectory() as folder:
        pictures = write_framings(Path(folder), 1 if options.quick else EACH, options.seed)
        async with interruptible(), site(links[0]) as here, peers(here, links, pythons) as others:
            jury = Jury(pictures, [(await here.whole.ask(picture)).best for picture in pictures])
            return {one: await measure_link(here, others, one, jury, options) for one in mbps}, others
    return None


def table(measured: Measured, seed: int) -> list[str]:
    """A row a way, the quickest first."""
    order = sorted(measured.answers, key=lambda way: median(one.seconds for one in measured.answers[way]))
    head = f"{'way':<30} {'p50 ms':>7} {'p99 ms':>7} {'over Isthmus [low, high]':>25} {'payload kB':>10}  same class"
    return [head, *(_row(measured, way, seed) for way in order)]


def _row(measured: Measured, way: str, seed: int) -> str:
    answers = measured.answers[way]
    times_ms = [1e3 * one.seconds for one in answers]
    ratio = measured.over(way, ISTHMUS, seed)
    interval = f"{ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"
    size_kb = fmean(one.payload_bytes for one in answers) / 1e3
    judged = measured.judged.get(way)
    same = f"{judged.same} of {judged.of}" if judged else "lossless" if way != AGAIN else ""
    return (
        f"{way:<30} {median(times_ms):>7.0f} {percentile(times_ms, 0.99):>7.0f} {interval:>25} {size_kb:>10.1f}  {same}"
    )


def figure(measured: Mapping[int, Measured], others: Peers, options: Options) -> Figure:
    ratios = {mbps: one.over(ISTHMUS, one.quickest(), options.seed) for mbps, one in measured.items()}
    worst = max(ratios, key=lambda mbps: ratios[mbps].value)
    value, floor = ratios[worst], measured[worst].over(AGAIN, ISTHMUS, options.seed)
    words = verdict(value, floor, GOAL)
    details: dict[str, object] = {}
    for mbps, one in measured.items():
        link = LINKS[mbps]
        plans = Counter(answer.plan for answer in one.answers[ISTHMUS])
        took = ", ".join(f"{plan} {count} times" for plan, count in plans.most_common())
        ratio = ratios[mbps]
        details[f"{link}"] = table(one, options.seed)
        details[f"{link}, Isthmus took"] = took
        details[f"{link}, Isthmus over the quickest peer"] = (
            f"{ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}] over {one.quickest()}"
        )
    rounds = len(measured[worst].answers[ISTHMUS])
    numbers = (value.value, value.low, value.high, floor.value, rounds, GOAL, words == "holds")
    name = "_".join(("peers", *(str(mbps) for mbps in measured))) if len(measured) < len(LINKS) else "peers"
    return Figure(name, *numbers, machine(), options.seed, words, details | dict(others.facts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, one link; within 120 s but for installing")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--record", action="store_true", help="also write docs/results/peers[_MBPS].json and .md")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--links", type=int, nargs="+", choices=LINKS, metavar="MBPS", help="5, 20, 100 by default")
    parser.add_argument("--environments", type=Path, default=cache_folder("peers"), help="where peers are installed")
    given = parser.parse_args()
    options = Options(given.quick, given.json, given.record, given.seed)
    links = given.links or (QUICK_LINKS if given.quick else tuple(LINKS))
    try:
        done = asyncio.run(measure(options, links, given.environments))
    except IsthmusError as error:
        sys.exit(f"peers: {error}")
    if done is None:
        sys.exit("peers: interrupted")
    report(figure(*done, options), options)


if __name__ == "__main__":
    main()
