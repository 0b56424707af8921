"""A fleet that is asked what a decision log's clients asked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isthmus.errors import InvalidConfiguration
from nodes.chooser import Refused
from partitioner.measurements import AffineTime
from partitioner.plan_table import PlanTable
from simulations.fleet import Fleet
from simulations.run_record import RunRecord
from simulations.scenario.reading import read_scenario
from simulations.site_request import Arrival, Served
from tests.simulations.fleet_files import scenario_file
from tests.simulations.replay.logs import decided, lines_of, refused, written
from tests.simulations.test_site import DIGEST, EDGE, FILE
from tests.simulations.workload.test_logged import asked


@dataclass
class Watching:
    """A Watcher that remembers."""

    came: list[Arrival] = field(default_factory=list)

    def arrived(self, arrival: Arrival) -> None:
        self.came.append(arrival)

    def ended(self, served: Served) -> None:
        pass


def fleet(folder: Path, *requests: Refused, **changes: Any) -> Fleet:
    """A shop at which the requests of a log come, all of those that were refused, in their order and from the first
    second on. The decision that a log must hold comes an hour later."""
    written(folder / "log.jsonl", lines_of([*requests, decided(asked(3600.0), EDGE)]))
    client = {"name": "lane", "edges": "shop", "arrivals": {"kind": "logged", "log": "log.jsonl", "start": "0s"}}
    data = {"clients": [client], "edges": [{"name": "shop", "link": "lan"}], "spread": 0.0, "warm_up": "0s", **changes}
    file = read_scenario(scenario_file(folder, **data))
    return Fleet(file.scenario, file.folder)


def run(folder: Path, *requests: Refused, policy: str = "edge-only", **changes: Any) -> RunRecord:
    edges = [{"name": "shop", "link": "lan", "policy": policy}]
    return fleet(folder, *requests, **{"edges": edges, **changes}).run()


def words(run: RunRecord, column: str) -> list[str]:
    return [run.words[number] for number in getattr(run.requests, column)]


def test_an_edge_is_asked_what_was_logged(tmp_path: Path) -> None:
    watcher = Watching()
    pay = refused(
        2.0, file_bytes=7, batch=3, timeout_s=0.25, priority=1, client="till", request_class="pay", policy="edge-only",
        plan_id="some",
    )  # fmt: skip
    fleet(tmp_path, refused(1.0), pay).begin(watcher=watcher).record()
    first, second = watcher.came
    assert (first.time_s, first.file_bytes, first.timeout_s, first.client) == (0.0, 20_000, None, "lane")
    wanted = Arrival(
        1.0, 7, 0.25, second.noise, "lane#till", 1, "net", "pay", policy="edge-only", plan_id="some", items=3
    )
    assert second == wanted


def test_the_deadline_of_the_policy_that_ran_is_not_the_clients(tmp_path: Path) -> None:
    watcher = Watching()
    fleet(tmp_path, refused(1.0, timeout_s=0.2, asked_s=None), refused(2.0, timeout_s=0.2, asked_s=0.7)).begin(
        watcher=watcher
    ).record()
    assert [one.timeout_s for one in watcher.came] == [None, 0.7]


def test_requests_are_told_of_by_what_they_were(tmp_path: Path) -> None:
    found = run(tmp_path, refused(0.0, request_class="a", client="x"), refused(4.0, timeout_s=0.5, client="y"))
    assert found.requests.time_s.tolist() == [0.0, 4.0]
    assert found.requests.timeout_s.tolist() == [float("inf"), 0.5]
    assert words(found, "client") == ["lane", "lane"]
    assert words(found, "request_class") == ["a", ""]
    assert words(found, "model") == ["net", "net"]


def test_files_that_cross_have_the_length_that_was_logged(tmp_path: Path) -> None:
    found = run(tmp_path, refused(0.0, file_bytes=10_000), refused(5.0, file_bytes=40_000), policy="cloud-only")
    assert found.requests.up_bytes.tolist() == [10_000, 40_000]


def test_who_asks_for_much_in_a_log_does_not_crowd_out_who_asks_for_little(tmp_path: Path) -> None:
    """An edge that takes 300 ms is asked twenty times a second by one client, and every two seconds by somebody."""

    def answered(client: str) -> float:
        crowd = [refused(number / 20, client="many", timeout_s=1.5) for number in range(600)]
        some = [refused(2.0 * number, client=client, timeout_s=1.5, request_class="some") for number in range(15)]
        found = run(tmp_path, *sorted([*crowd, *some], key=lambda one: one.came_s))
        some_ended = np.array(words(found, "outcome"))[np.array(words(found, "request_class")) == "some"]
        return float(np.mean(some_ended == "answered"))

    assert answered("modest") > 0.9
    assert answered("many") < 0.5


def test_each_edge_and_each_of_its_clients_plays_the_log(tmp_path: Path) -> None:
    client = {"name": "lane", "edges": "shop", "count": 2, "arrivals": {"kind": "logged", "log": "log.jsonl"}}
    edges = [{"name": "shop", "link": "lan", "count": 3}]
    requests = [refused(float(second), client="till") for second in range(0, 3600, 4)]
    watcher = Watching()
    fleet(tmp_path, *requests, clients=[client], edges=edges).begin(watcher=watcher).record()
    assert len(watcher.came) == pytest.approx(6 * 30 / 4, abs=6)
    assert {one.client for one in watcher.came} == {"lane#0#till", "lane#1#till"}
    assert len({one.time_s % 4 for one in watcher.came}) >= 6  # apart from each other
    assert len({one.noise for one in watcher.came}) == len(watcher.came)


def test_a_plan_that_a_request_forces_runs_and_one_that_is_not_there_is_refused_as_live(tmp_path: Path) -> None:
    found = run(tmp_path, refused(0.0, plan_id=FILE.plan.plan_id), refused(5.0, plan_id="another"))
    assert words(found, "kind") == ["cloud-only", ""]
    assert words(found, "reason") == ["", "NotFound"]


# ---- requests of several items -------------------------------------------------------------------------------------

PER_ITEM = PlanTable(
    "net",
    DIGEST,
    (
        replace(
            EDGE, costs=replace(EDGE.costs, edge=AffineTime(0.200, 0.100), prefix_s=((1, 0.3), (2, 0.3), (8, 0.3)))
        ),
        replace(
            FILE, costs=replace(FILE.costs, cloud=AffineTime(0.030, 0.020), suffix_s=((1, 0.05), (2, 0.05), (8, 0.05)))
        ),
    ),
)


def items_run(folder: Path, policy: str, *items: int, max_batch: int) -> RunRecord:
    (folder / "items.json").write_text(PER_ITEM.to_json())
    batching = {"max_batch": max_batch, "max_delay": "0ms"}
    requests = [refused(0.0, batch=one, file_bytes=1) for one in items]
    return run(
        folder, *requests, models=[{"name": "net", "plans": "items.json"}],
        edges=[{"name": "shop", "link": "lan", "policy": policy, "batching": batching}],
        cloud={"replicas": 1, "batching": batching},
    )  # fmt: skip


@pytest.mark.parametrize("max_batch", [1, 8])
def test_one_by_itself_takes_what_its_plan_says_of_so_many_items(tmp_path: Path, max_batch: int) -> None:
    assert items_run(tmp_path, "edge-only", 4, max_batch=max_batch).requests.edge_s == pytest.approx([0.6])
    assert items_run(tmp_path, "cloud-only", 4, max_batch=max_batch).requests.cloud_s == pytest.approx([0.11])


@pytest.mark.parametrize(("max_batch", "joined"), [(8, True), (7, False)])
def test_a_batch_is_full_by_the_items_of_its_requests(tmp_path: Path, max_batch: int, joined: bool) -> None:
    """One of a single item runs first, while two of four wait."""
    edge = items_run(tmp_path, "edge-only", 1, 4, 4, max_batch=max_batch).requests
    cloud = items_run(tmp_path, "cloud-only", 1, 4, 4, max_batch=max_batch).requests
    ended_s = cloud.time_s + cloud.uplink_s + cloud.cloud_queue_s + cloud.cloud_s
    for ends_s in (edge.took_s, ended_s):
        assert len(np.unique(np.round(ends_s, 6))) == (2 if joined else 3)


# ---- what cannot be ------------------------------------------------------------------------------------------------


def test_a_model_of_the_log_that_the_scenario_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match=r"clients\.lane\.arrivals\.log: asks of a model .*'other'.*add it"):
        fleet(tmp_path, refused(0.0, model="other"))


def test_a_form_that_no_plan_takes_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match=r"clients\.lane\.arrivals\.log: brings tensors, and no plan of net"):
        fleet(tmp_path, refused(0.0, form="tensor"))
