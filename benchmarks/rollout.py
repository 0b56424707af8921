"""Model and code rolled over while clients ask without a pause: how many requests fail, how many answers are wrong.

A real `isthmus up` (two replicas on Ray Serve, the edge a process) that follows its configuration file; the model is
cloud-required, so that no request can hide on the edge. In turn: another model under the same name; other code of this
project, changed in the folder that the replicas import it from, as an upgrade in place does; a version whose replicas
cannot start, which must be rolled back. Each time the file is saved and the benchmark waits until the launcher says
what became of it. Three rounds of these on the paced engine (real outputs, 20 ms a request) and two on real compute;
with --quick one, paced, of a model and a broken version. --scenarios paced or real: that form only.

Failed is a request that ends in any error (deadline 10 s). Wrong is an answer that is neither the old nor the new
model's whole output, or is the old model's though the request was sent after the roll-out, or the new one's before it.
The figure is both, the goal none; and new code must be what serves, and a version that is rolled back leave the same
replicas as before it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.compute_forms import FORMS, PACED, REAL, chosen_forms, values_told
from benchmarks.figure import Options, count_figure, parse_options, report
from benchmarks.judged_requests import cloud_required, made_model
from benchmarks.rolled_launcher import SOURCES, Launcher, broken, launched, upgraded
from benchmarks.rolled_requests import Answer, Clients, Turn, during, failures_told, wrong_answers

REPLICAS, BOUNDARY = 2, 256
PACED_S = {PACED: 0.02, REAL: None}
ROUNDS = {PACED: 3, REAL: 2}
REST_S, QUICK_REST_S = 10.0, 2.0
MODEL, CODE, BROKEN = "another model", "other code", "a broken version"
KINDS = (MODEL, CODE, BROKEN)
QUICK_KINDS = (MODEL, BROKEN)


@dataclass
class Rolled:
    """What came of one form. new_code: of each upgrade, whether all replicas were of it; same_replicas: of each broken
    version, whether those before it served on."""

    turns: list[Turn] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    new_code: list[bool] = field(default_factory=list)
    same_replicas: list[bool] = field(default_factory=list)

    @property
    def failed(self) -> list[str]:
        """The errors."""
        return [one.error for one in self.answers if one.error]

    @property
    def wrong(self) -> int:
        """See `wrong_answers`."""
        return wrong_answers(self.answers, self.turns)

    @property
    def as_asked(self) -> bool:
        """Whether each version came or went as it had to."""
        return all(self.new_code) and all(self.same_replicas)


class Rounds:
    """Takes the turns of a form."""

    def __init__(self, launcher: Launcher, rolled: Rolled, rest_s: float) -> None:
        self._launcher, self._rolled, self._rest_s = launcher, rolled, rest_s
        self._first_host, self._version = launcher.host.read_text(), 0

    async def take(self, number: int, kinds: Sequence[str]) -> None:
        """One turn of each kind."""
        if MODEL in kinds:
            await self._turn(MODEL, "rolled out: models", source=SOURCES[1 - self._version])
        if CODE in kinds:
            await self._other_code(f"upgraded{number}-")
        if BROKEN in kinds:
            await self._broken_version(f"broken{number}")

    async def _other_code(self, word: str) -> None:
        self._launcher.host.write_text(upgraded(self._first_host, word))
        await self._turn(CODE, "rolled out: cloud.version", version=word)
        there = await self._launcher.replica_ids()
        self._rolled.new_code.append(len(there) == REPLICAS and all(word in one for one in there))

    async def _broken_version(self, word: str) -> None:
        launcher, there = self._launcher, await self._launcher.replica_ids()
        host, version = launcher.host.read_text(), launcher.cloud["version"]
        launcher.host.write_text(broken(host))
        await self._turn(BROKEN, "not rolled out", version=word)
        self._rolled.same_replicas.append(await launcher.replica_ids() == there)
        launcher.host.write_text(host)
        launcher.cloud["version"] = version

    async def _turn(self, kind: str, words: str, **saved: str) -> None:
        """Save the file, and return when the launcher has said these words."""
        await asyncio.sleep(self._rest_s)
        launcher, before, counted = self._launcher, self._version, await self._launcher.resumed()
        since, began_s = len(launcher.log), time.monotonic()
        launcher.save(**saved)
        said = (await launcher.says(words, since)).removeprefix("isthmus: ")
        ended_s, resumed = time.monotonic(), (await launcher.resumed()).since(counted)
        self._version = SOURCES.index(launcher.source)
        self._rolled.turns.append(Turn(kind, said, before, self._version, began_s, ended_s, *resumed))


async def roll(form: str, rounds: int, kinds: Sequence[str], rest_s: float) -> Rolled:
    """So many turns of each kind."""
    models = [cloud_required(made_model(BOUNDARY, 0, seed)) for seed in range(len(SOURCES))]
    rolled = Rolled()
    async with launched(models, REPLICAS, PACED_S[form]) as launcher:
        clients = Clients(launcher.gateway, models)
        asking = asyncio.create_task(clients.run())
        taking = Rounds(launcher, rolled, rest_s)
        for number in range(rounds):
            await taking.take(number, kinds)
        await asyncio.sleep(rest_s)
        clients.stop()
        await asking
    rolled.answers = clients.answers
    return rolled


async def measure(options: Options) -> dict[str, Rolled]:
    """By form."""
    if options.quick:
        return {form: await roll(form, 1, QUICK_KINDS, QUICK_REST_S) for form in chosen_forms(options)}
    return {form: await roll(form, ROUNDS[form], KINDS, REST_S) for form in chosen_forms(options)}


def told(form: str, rolled: Rolled) -> list[str]:
    """What came of one form, in lines."""
    paced_s, answers = PACED_S[form], rolled.answers
    took_ms = np.array([one.took_s * 1e3 for one in answers])
    p50_ms, p99_ms = np.quantile(took_ms, [0.5, 0.99])
    return [
        "real compute" if paced_s is None else f"paced, {paced_s * 1e3:g} ms a request",
        f"failed: {len(rolled.failed)} of {len(answers)} {dict(Counter(rolled.failed))}",
        f"failed during: {dict(Counter(during(one, rolled.turns) for one in answers if one.error))}",
        *(f"failed: {line}" for line in failures_told(answers, rolled.turns)),
        f"wrong: {rolled.wrong}",
        f"answered by version: {dict(Counter(one.version for one in answers))}",
        f"finished by: {dict(Counter(one.finished_by for one in answers if not one.error))}",
        f"latency: p50 {p50_ms:.1f} ms, p99 {p99_ms:.1f} ms, longest {took_ms.max():.0f} ms",
        "seconds from saving to done:",
        *(values_told(kind, taken) for kind in KINDS if (taken := taken_s(rolled.turns, kind))),
        "sent again, late answers, by turn: "
        + ", ".join(f"{turn.kind} {turn.resent} {turn.late_answers}" for turn in rolled.turns),
        f"new code served after: {sum(rolled.new_code)} of {len(rolled.new_code)}",
        f"rolled back to the same replicas: {sum(rolled.same_replicas)} of {len(rolled.same_replicas)}",
        *(f"said: {said}" for said in dict.fromkeys(turn.said for turn in rolled.turns)),
    ]


def taken_s(turns: Sequence[Turn], kind: str) -> list[float]:
    return [turn.ended_s - turn.began_s for turn in turns if turn.kind == kind]


def main() -> None:
    options = parse_options(__doc__ or "", scenarios=FORMS)
    rolled = asyncio.run(measure(options))
    details = {form: told(form, one) for form, one in rolled.items()}
    bad = sum(len(one.failed) + one.wrong for one in rolled.values())
    n, as_asked = sum(len(one.answers) for one in rolled.values()), all(one.as_asked for one in rolled.values())
    report(count_figure("rollout", bad, n, options, holds=as_asked, details=details), options)


if __name__ == "__main__":
    main()
