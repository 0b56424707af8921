"""The benchmark beside peers in short: Isthmus and the raw server alone, which name the same classes."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from random import Random

import pytest

from benchmarks.figure import Options
from benchmarks.peer_environments import PeerPackage, peer_python
from benchmarks.peer_process import peer_process
from benchmarks.peer_site import ISTHMUS, Peers, site
from benchmarks.peer_ways import LOGITS_BYTES, Answer
from benchmarks.peers import Judged, Measured, figure, measure_rounds
from isthmus.errors import Unavailable
from isthmus.zoo import demo_photos
from partitioner.link import Link

FILE, TENSOR = "raw gRPC server, file", "raw gRPC server, tensor"
OPTIONS = Options(quick=True, as_json=False, record=False, seed=0)


@pytest.mark.slow  # a whole deployment starts
def test_isthmus_and_the_raw_server_name_the_same_classes() -> None:
    photos = demo_photos()[-2:]

    async def short() -> dict[str, list[Answer]]:
        async with site(Link(200e6, 200e6, 0.005)) as here:
            return await measure_rounds(here.ways, photos, 2, Random(0))

    answers = asyncio.run(short())
    assert set(answers) == {ISTHMUS, FILE, TENSOR}
    assert [one.best for one in answers[ISTHMUS]] == [one.best for one in answers[FILE]]
    assert [one.best for one in answers[TENSOR]] == [one.best for one in answers[FILE]]
    sizes = [photos[number % 2].stat().st_size for number in (1, 2)]
    assert [one.payload_bytes for one in answers[FILE]] == [size + LOGITS_BYTES for size in sizes]
    assert all(one.plan_id for one in answers[ISTHMUS])


def measured(peer: Judged) -> Measured:
    """Isthmus takes 10 ms, the raw server 20, a lossy peer 5."""

    def took(seconds: float) -> list[Answer]:
        return [Answer(seconds, 1000, 1, "edge-only", "p")] * 8

    answers = {ISTHMUS: took(0.01), "Isthmus again": took(0.01), FILE: took(0.02), "lossy": took(0.005)}
    return Measured(answers, {ISTHMUS: Judged(60, 60), "lossy": peer})


def test_a_peer_whose_answers_differ_too_often_is_not_what_isthmus_is_held_against() -> None:
    made = figure({5: measured(Judged(58, 60))}, Peers({}, {}, {"versions": "none"}), OPTIONS)
    assert made.value == pytest.approx(0.5)
    assert made.holds
    assert made.figure == "peers_5"


def test_a_quicker_peer_with_the_same_answers_is_a_miss() -> None:
    made = figure({5: measured(Judged(59, 60))}, Peers({}, {}, {}), OPTIONS)
    assert made.value == pytest.approx(2.0)
    assert not made.holds


def test_a_program_that_does_not_start_is_refused_with_its_last_words() -> None:
    with (
        pytest.raises(Unavailable, match=r"nowhere does not start: .*No module named"),
        peer_process(sys.executable, "nowhere"),
    ):
        pass


def test_an_environment_that_cannot_be_made_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    package = PeerPackage("peer-1.0", (), ())
    with pytest.raises(Unavailable, match=r"peer-1\.0 cannot be installed in .*--environments"):
        peer_python(package, tmp_path / "a file")
