"""A decision log read back: the policy that ran makes the same choices again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.errors import DeadlineUnreachable, InvalidRequest, NotFound
from nodes.chooser import Choice, ChoiceRequest, Outcome, StageTimes, Transfer
from nodes.steering import EVERYTHING, Canary, PolicySetting, Steering
from partitioner.link import Link
from partitioner.plan_table import PlanTable
from scheduler.decision_random import DecisionRandom
from scheduler.decision_record import RecordEncoder
from scheduler.decision_replay import log_files, log_lines, replayed
from scheduler.plan_chooser import PlanChooser
from scheduler.policies.base import Policy
from scheduler.policies.factory import configured_policy
from scheduler.policies.forecast import forecast
from tests.scheduler.conftest import DIGEST, make_entry

TABLE = PlanTable(
    "net",
    DIGEST,
    (
        make_entry(edge_s=0.101),
        make_entry("blocks.4", "zstd", edge_s=0.030, size=40_000, cloud_s=0.005),
        make_entry("input", "file", cloud_s=0.012),
        make_entry("input", "raw", edge_s=0.002, size=600_000, cloud_s=0.008),
    ),
)


class DrawnPolicy:
    """Any plan, drawn."""

    def choose(self, request: ChoiceRequest, link: Link | None, rng: Random) -> Choice:
        found = forecast(request, link)
        return found.choice(rng.randrange(len(found.entries)), before="drawn: ")


class NormalPolicy:
    """Any plan, by one draw, of the kind that Python makes two of and keeps the second."""

    def choose(self, request: ChoiceRequest, link: Link | None, rng: Random) -> Choice:
        found = forecast(request, link)
        return found.choice(int(rng.gauss(0, 1000)) % len(found.entries))


class BrokenPolicy:
    """None, by a fault."""

    def choose(self, request: ChoiceRequest, link: Link | None, rng: Random) -> Choice:
        raise KeyError(request.request_id)


OWN: dict[str, type[Policy]] = {
    f"{__name__}:{kind.__name__}": kind for kind in (DrawnPolicy, NormalPolicy, BrokenPolicy)
}
DRAWN, NORMAL, BROKEN = OWN


def make(setting: PolicySetting) -> Policy:
    return OWN[setting.name]() if setting.name in OWN else configured_policy(setting.name, setting.options)


def lived(
    encoder: RecordEncoder, steps: list[tuple[float, float, int]], steering: Steering, remaining_s: float | None = None
) -> Iterator[bytes]:
    """The log of a chooser with these policies that saw a changing link and queues. remaining_s: of each request."""
    items: list[object] = []
    chooser = PlanChooser(seed=3, journal=items.append)
    chooser._policies = chooser._policies.changed(steering, make)
    yield encoder.begin_file()
    for number, (bps, queue_s, file_bytes) in enumerate(steps):
        chooser.observe_rtt(0.02, float(number))
        chooser.observe_transfer(Transfer("up", 100_000, 8e5 / bps), float(number))
        request = ChoiceRequest(
            TABLE,
            "bytes",
            1,
            file_bytes,
            remaining_s,
            edge_queue_s=queue_s,
            request_id=f"r{number}",
            now_s=float(number),
        )
        try:
            chosen = chooser.choose(request)
        except (DeadlineUnreachable, KeyError):
            continue
        chooser.observe_stages(StageTimes(chosen.entry, 1, file_bytes, 0.05, 0.01, 30_000))
        chooser.observe_outcome(Outcome(f"r{number}", edge_s=0.05))
    yield from map(encoder.encode, items)


LATENCY, EXPLORING, BELL = PolicySetting("latency"), PolicySetting(DRAWN), PolicySetting(NORMAL)
STEERINGS = [
    Steering({EVERYTHING: LATENCY}),
    Steering({EVERYTHING: EXPLORING}),
    Steering({EVERYTHING: BELL}),
    Steering({EVERYTHING: LATENCY}, shadow=EXPLORING, canary=Canary(EXPLORING, 0.3)),
]
STEPS = st.lists(
    st.tuples(st.floats(1e5, 1e9), st.floats(0.0, 0.3), st.integers(1_000, 500_000)), min_size=1, max_size=12
)


@pytest.mark.parametrize("steering", STEERINGS, ids=["latency", "drawn", "drawn in pairs", "canary and shadow"])
@given(steps=STEPS)
@settings(max_examples=30, deadline=None)
def test_the_policy_that_ran_makes_the_same_choices_on_its_own_log(
    steering: Steering, steps: list[tuple[float, float, int]]
) -> None:
    lines = [json.loads(line) for text in lived(RecordEncoder(), steps, steering) for line in text.splitlines()]
    again = list(replayed(lines, make))
    assert len(again) == len(steps)
    assert all(one.same for one in again)


@pytest.mark.parametrize("setting", [LATENCY, PolicySetting("slo", {"deadline": 0.05})], ids=lambda one: one.name)
@given(steps=STEPS, remaining_s=st.floats(0.0, 0.2))
@settings(max_examples=30, deadline=None)
def test_what_a_policy_refused_it_refuses_again_in_the_same_words(
    setting: PolicySetting, steps: list[tuple[float, float, int]], remaining_s: float
) -> None:
    text = b"".join(lived(RecordEncoder(), steps, Steering({EVERYTHING: setting}), remaining_s))
    again = list(replayed(map(json.loads, text.splitlines()), make))
    assert len(again) == len(steps)
    assert all(one.same for one in again)
    assert sum(bool(one.failure) for one in again) == text.count(b'{"kind":"declined"')


def test_a_fault_of_a_policy_is_replayed_and_another_policy_is_not_the_same() -> None:
    text = b"".join(lived(RecordEncoder(), [(20e6, 0.0, 250_000)] * 2, Steering({EVERYTHING: PolicySetting(BROKEN)})))
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(one.failure, one.same) for one in replayed(lines, make)] == [
        ("KeyError: 'r0'", True),
        ("KeyError: 'r1'", True),
    ]
    for other in (LATENCY, PolicySetting("fixed:" + "0" * 16)):  # which names a plan, and which declines in other words
        assert not any(one.same for one in replayed(lines, make, other))


def test_another_policy_chooses_otherwise_and_is_heard_where_it_cannot(tmp_path: Path) -> None:
    lines = [
        json.loads(line)
        for text in lived(RecordEncoder(), [(20e6, 0.0, 250_000)] * 3, STEERINGS[0])
        for line in text.splitlines()
    ]
    by_edge = list(replayed(lines, make, PolicySetting("edge-only")))
    assert {one.plan_id for one in by_edge} == {TABLE.entries[0].plan.plan_id}
    assert not any(one.same for one in by_edge)
    failing = list(replayed(lines, make, PolicySetting("fixed:" + "0" * 16)))
    assert all(one.failure and not one.plan_id for one in failing)


def test_files_are_read_oldest_first_compressed_or_not(tmp_path: Path) -> None:
    text = b"".join(lived(RecordEncoder(), [(20e6, 0.0, 250_000)] * 2, STEERINGS[0]))
    (tmp_path / "2.jsonl").write_bytes(text)
    (tmp_path / "1.jsonl.zst").write_bytes(zstandard.compress(text))
    first, second = log_files(tmp_path)
    assert (first.name, second.name) == ("1.jsonl.zst", "2.jsonl")
    assert list(log_lines(first)) == list(log_lines(second))
    assert [line["kind"] for line in log_lines(first)].count("decision") == 2


def test_a_line_that_was_cut_short_ends_the_file(tmp_path: Path) -> None:
    text = b"".join(lived(RecordEncoder(), [(20e6, 0.0, 250_000)] * 2, STEERINGS[0]))
    (tmp_path / "1.jsonl").write_bytes(text[:-5])
    whole = text.count(b"\n")
    assert len(list(log_lines(tmp_path / "1.jsonl"))) == whole - 1


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"hello\n", "line 1: is not JSON"),
        (b"[]\n", "line 1: is no line"),
        (b'{"kind":"decision"}\n', "line 1: is no line"),
        (b'{"kind":"log","version":99}\n', "line 1: has another version"),
        (b'{"kind":"log","version":1}\n{"kind":"log","version":1}\n', "line 2: is no line"),
        (b'{"kind":"log","version":1}\n{"ki\n{}\n', "line 2: is not JSON"),
        (b'{"kind":"log","version":1}\n{"no":"kind"}\n', "line 2: is no line"),
        (b"[" * 100_000 + b"\n", "line 1: is not JSON"),
    ],
)
def test_what_is_no_decision_log_is_refused_by_line(tmp_path: Path, text: bytes, fault: str) -> None:
    (tmp_path / "1.jsonl").write_bytes(text)
    with pytest.raises(InvalidRequest, match=fault):
        list(log_lines(tmp_path / "1.jsonl"))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"gone\.jsonl: cannot be read: No such file"):
        list(log_lines(tmp_path / "gone.jsonl"))
    (tmp_path / "1.jsonl.zst").write_bytes(b"no zstandard")
    with pytest.raises(InvalidRequest, match=r"1\.jsonl\.zst: cannot be read"):
        list(log_lines(tmp_path / "1.jsonl.zst"))


def test_a_folder_without_a_log_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="decision log"):
        log_files(tmp_path)


def test_a_table_is_written_once_a_file() -> None:
    encoder = RecordEncoder()
    for _ in range(2):
        text = b"".join(lived(encoder, [(20e6, 0.0, 250_000)] * 3, STEERINGS[0]))
        assert text.count(b'"kind":"table"') == 1


@given(seed=st.integers(0, 2**32), number=st.integers(0, 2**40), before=st.integers(0, 5))
def test_a_decisions_randomness_depends_on_seed_and_number_alone(seed: int, number: int, before: int) -> None:
    fresh, used = DecisionRandom(seed), DecisionRandom(seed)
    for other in range(before):
        used.begin(other)
        used.gauss(0, 1)
    fresh.begin(number)
    used.begin(number)
    assert [fresh.gauss(0, 1), fresh.random(), fresh.choice(range(1000))] == [
        used.gauss(0, 1), used.random(), used.choice(range(1000))
    ]  # fmt: skip


def test_decisions_draw_differently() -> None:
    random = DecisionRandom(1)
    drawn = set()
    for number in range(100):
        random.begin(number)
        drawn.add(random.random())
    assert len(drawn) == 100


def test_a_log_of_the_version_before_is_still_replayed(tmp_path: Path) -> None:
    old = [
        json.loads(line)
        for text in lived(RecordEncoder(), [(20e6, 0.0, 250_000)], STEERINGS[0])
        for line in text.splitlines()
    ]
    old[0]["version"] = 1
    for line in old:
        for name in ("came_s", "priority", "client"):
            line.get("request", {}).pop(name, None)
    (tmp_path / "1.jsonl").write_text("".join(json.dumps(line) + "\n" for line in old))
    assert [one.same for one in replayed(log_lines(tmp_path / "1.jsonl"), make)] == [True]


def test_every_file_says_what_the_edge_lets_in() -> None:
    encoder, items = RecordEncoder(), list[object]()
    PlanChooser(journal=items.append).admission(100, 8)
    encoder.begin_file()
    said = encoder.encode(items[0])
    assert json.loads(said) == {"kind": "admission", "queue": 100, "depth": 8, "probability": 0.9}
    assert encoder.begin_file().splitlines()[1] + b"\n" == said
