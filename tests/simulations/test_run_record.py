"""A run's record: what is added comes back, in the order of arrival, and through a file."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.errors import InvalidInput
from simulations.run_record import (
    OUTCOMES,
    EndedRequest,
    Requests,
    Resource,
    RunFacts,
    RunRecord,
    RunRecorder,
    Series,
)

FACTS = RunFacts("shop", seed=1, duration_s=10.0, warm_up_s=2.0, plan_titles={"p": "edge-only"}, notes=("emulated",))


def _ended(given: dict[str, Any]) -> EndedRequest:
    return EndedRequest(**given)


seconds = st.floats(0.0, 1e4)
# Not st.builds: it would make up the fields that are left out.
requests = st.fixed_dictionaries(
    {
        "time_s": seconds,
        "took_s": seconds,
        "timeout_s": st.one_of(seconds, st.just(math.inf)),
        "up_bytes": st.integers(0, 1 << 40).map(float),
        "outcome": st.sampled_from(OUTCOMES),
        "reason": st.text(max_size=5),
        "plan": st.sampled_from(["", "p", "q"]),
    }
).map(_ended)


def recorded(ended: list[EndedRequest]) -> RunRecord:
    recorder = RunRecorder()
    for number, one in enumerate(ended):
        recorder.add(one)
        recorder.sample(Series("cloud_queue_s", f"replica-{number % 2}"), one.time_s, one.took_s)
    recorder.resource(Resource("edge", "shop-1", "shop", 1.0, 8.0, 0.125, 3.0))
    return recorder.finish(FACTS)


def rows(record: RunRecord) -> list[EndedRequest]:
    columns = [getattr(record.requests, name).tolist() for name in EndedRequest._fields]
    first_word = EndedRequest._fields.index("outcome")
    words = [[record.words[number] for number in column] for column in columns[first_word:]]
    return [EndedRequest(*row) for row in zip(*columns[:first_word], *words, strict=True)]


def test_columns_are_the_fields_of_a_request() -> None:
    assert tuple(one.name for one in fields(Requests)) == EndedRequest._fields


@given(ended=st.lists(requests, max_size=8))
@settings(max_examples=20)
def test_what_is_added_comes_back_in_the_order_of_arrival(ended: list[EndedRequest]) -> None:
    record = recorded(ended)
    expected = sorted(ended, key=lambda one: one.time_s)
    assert repr(rows(record)) == repr(expected)  # as text: a nan is not equal to itself
    assert np.all(record.samples.series < max(1, len(record.series)))


@given(ended=st.lists(requests, max_size=4))
@settings(max_examples=10)
def test_a_record_goes_through_a_file(ended: list[EndedRequest], tmp_path_factory: pytest.TempPathFactory) -> None:
    path, record = tmp_path_factory.mktemp("record") / "run.npz", recorded(ended)
    record.save(path)
    read = RunRecord.load(path)
    assert repr(rows(read)) == repr(rows(record))
    assert (read.facts, read.words, read.series, read.resources) == (
        record.facts, record.words, record.series, record.resources,
    )  # fmt: skip
    assert read.samples.value.tolist() == record.samples.value.tolist()
    assert [one.name for one in path.parent.iterdir()] == ["run.npz"]


def test_equal_records_are_equal_files(tmp_path: Path) -> None:
    for name in "ab":
        recorded([EndedRequest(1.0, 0.1)]).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_only_what_arrives_between_warm_up_and_end_counts() -> None:
    record = recorded([EndedRequest(time_s, 0.1) for time_s in (10.0, 0.0, 1.99, 2.0, 9.99)])
    assert record.counted().time_s.tolist() == [2.0, 9.99]


@pytest.mark.parametrize("damage", ["text", "half", "npy", "ids"])
def test_what_is_no_record_is_refused_by_its_name(tmp_path: Path, damage: str) -> None:
    path, record = tmp_path / "run.npz", recorded([EndedRequest(1.0, 0.1)])
    record.save(path)
    if damage == "text":
        path.write_text("no")
    elif damage == "half":
        path.write_bytes(path.read_bytes()[:900])
    elif damage == "npy":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    else:
        record.requests.plan[0] = 99
        record.save(path)
    with pytest.raises(InvalidInput, match=r"run\.npz: is no record"):
        RunRecord.load(path)
