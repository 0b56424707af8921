"""Scenario files: what they mean, and that each fault names its field."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from isthmus.errors import InvalidConfiguration
from simulations.scenario.arrivals import ClosedLoopArrivals, SizeAbout
from simulations.scenario.faults import PlannedReplicaFault, RandomFaults
from simulations.scenario.links import TraceRate
from simulations.scenario.reading import checked, read_scenario, scenario_schema
from simulations.scenario.scenario import Scenario
from simulations.scenario.sweep import _set
from tests.simulations.replay.logs import EDGE, decided, lines_of, written
from tests.simulations.workload.test_logged import asked

EXAMPLES = Path(__file__).parents[3] / "examples"
FILE = """
duration: 10min
warm_up: 1min
models:
  - {name: net, plans: plans/net.json}
links:
  - {name: lte, uplink: 5mbps, downlink: {trace: rides/bus, start: 30s}, rtt: 50ms, outages: {every: 5min, for: 10s}}
edges:
  - {name: shop, count: 100, link: lte, policy: {name: slo, deadline: 200ms}}
cloud: {replicas: 4, failures: [{at: 1min, for: 5s, replica: 2}]}
clients:
  - name: cameras
    edges: shop
    model: net
    arrivals: {kind: poisson, rate_per_s: 1}
    file: {median: 100kB}
    deadline: 300ms
  - {name: tills, edges: shop, model: net, arrivals: {kind: closed-loop, users: 3, think: 2s}}
slo: {within: 300ms, share: 0.99}
"""
FAILURES = [{"at": "1min", "for": "5s", "replica": number} for number in (1, 2)]


def data() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(FILE)
    return copy.deepcopy(loaded)


def test_quantities_become_numbers_and_paths_start_beside_the_file() -> None:
    scenario = checked(data(), Path("/there"))
    link, edge, (cameras, tills) = scenario.links[0], scenario.edges[0], scenario.clients
    assert (scenario.duration, scenario.warm_up, scenario.replications) == (600.0, 60.0, 5)
    assert (link.uplink, link.rtt) == (5e6, 0.05)
    assert link.downlink == TraceRate(trace="/there/rides/bus", start=30.0)
    assert isinstance(link.outages, RandomFaults)
    assert (link.outages.every, link.outages.lasts) == (300.0, 10.0)
    assert scenario.models[0].plans == "/there/plans/net.json"
    assert (edge.policy.name, edge.policy.options) == ("slo", {"deadline": "200ms"})
    assert scenario.cloud.failures == (PlannedReplicaFault.model_validate({"at": 60.0, "for": 5.0, "replica": 2}),)
    assert (cameras.file, cameras.deadline) == (SizeAbout(median=100_000), 0.3)
    assert isinstance(tills.arrivals, ClosedLoopArrivals)


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("links.lte.uplink", "fast", "links.lte.uplink"),
        ("links.lte.uplink", 20, "links.lte.uplink"),
        ("links.lte.downlink.start", "soon", "links.lte.downlink.start"),
        ("links.lte.downlink.strat", 1, "links.lte.downlink.strat"),
        ("links.lte.outages.for", "0s", "links.lte.outages.for"),
        ("edges.shop.count", 0, "edges.shop.count"),
        ("edges.shop.link", "lan", "edges.shop.link"),
        ("edges.shop.speed", 2, "edges.shop.speed"),
        ("cloud.batching", {"max_delay": "long"}, "cloud.batching.max_delay"),
        ("cloud.autoscaling", {"max_replicas": 3}, "cloud.replicas"),
        ("cloud.power", {"busy": "much"}, "cloud.power.busy"),
        ("cloud.power", {"busy": "300W", "radio": "2W"}, "cloud.power.radio"),
        ("cloud.report", "1us", "cloud.report"),
        ("cloud.replicas", 2, "cloud.failures.0.replica"),
        ("cloud", {"autoscaling": {"max_replicas": 2}, "failures": FAILURES}, "cloud.failures.1.replica"),
        ("clients.cameras.edges", "shops", "clients.cameras.edges"),
        ("clients.cameras.model", "nets", "clients.cameras.model"),
        ("clients.cameras.arrivals.kind", "random", "clients.cameras.arrivals"),
        ("clients.cameras.arrivals.rate_per_s", -1, "clients.cameras.arrivals.rate_per_s"),
        ("clients.cameras.arrivals", {"rate_per_s": 1}, "clients.cameras.arrivals.kind"),
        ("clients.cameras.arrivals", {"kind": "steady", "period": "1s", "jitter": "2s"}, "clients.cameras.arrivals"),
        (
            "clients.cameras.arrivals",
            {"kind": "recorded", "file": "log", "start": "soon"},
            "clients.cameras.arrivals.start",
        ),
        ("clients.cameras.arrivals", {"kind": "logged", "log": "nowhere"}, "clients.cameras.arrivals.log"),
        (
            "clients.cameras.arrivals",
            {"kind": "logged", "log": str(EXAMPLES / "prices.yaml")},
            "clients.cameras.arrivals.log",
        ),
        ("clients.cameras.arrivals", {"kind": "logged"}, "clients.cameras.arrivals.log"),
        ("clients.cameras.model", "", "clients.cameras.model"),
        ("clients.cameras.deadline", "0s", "clients.cameras.deadline"),
        ("clients.cameras.file", {"median": "big"}, "clients.cameras.file.median"),
        ("clients.cameras.file", 0, "clients.cameras.file"),
        ("clients.cameras.file", {"median": 0}, "clients.cameras.file"),
        ("clients.cameras.file", {"least": "200kB", "most": "100kB"}, "clients.cameras.file"),
        ("clients.cameras.name", "tills", "clients"),
        ("slo.share", 1.5, "slo.share"),
        ("warm_up", "10min", "warm_up"),
        ("spread", "much", "spread"),
        ("bandwidth", 1, "bandwidth"),
    ],
)
def test_a_fault_names_its_field(path: str, value: object, field: str) -> None:
    faulty = data()
    _set(faulty, path, value)
    with pytest.raises(InvalidConfiguration) as raised:
        checked(faulty, Path())
    assert raised.value.field == field


def logged(folder: Path, **fields: Any) -> Scenario:
    """With the requests of a log in the place of the cameras'."""
    written(folder / "log.jsonl", lines_of([decided(asked(5.0), EDGE)]))
    changed = data()
    arrivals = {"kind": "logged", "log": str(folder / "log.jsonl")}
    changed["clients"][0] = {"name": "lane", "edges": "shop", "arrivals": arrivals, **fields}
    return checked(changed, folder)


def test_clients_of_a_log_say_nothing_of_their_requests(tmp_path: Path) -> None:
    assert logged(tmp_path).clients[0].model == ""
    assert logged(tmp_path, deadline=None, priority=0).clients[0].deadline is None  # as if left out


@pytest.mark.parametrize(
    "field", [("model", "net"), ("file", "20kB"), ("deadline", "1s"), ("priority", 1), ("request_class", "a")]
)
def test_what_a_client_says_besides_its_log_is_named(tmp_path: Path, field: tuple[str, Any]) -> None:
    with pytest.raises(InvalidConfiguration, match=rf"clients\.lane\.{field[0]}: is what each request of the log says"):
        logged(tmp_path, **dict([field]))


def test_who_can_send_only_at_times_is_told_that_a_log_is_more(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match=r"only a simulation plays them.*kind: recorded"):
        logged(tmp_path).clients[0].arrivals.process()


def test_what_is_missing_is_named() -> None:
    faulty = data()
    del faulty["clients"][0]["model"]
    with pytest.raises(InvalidConfiguration, match=r"clients\.cameras\.model: is missing"):
        checked(faulty, Path())


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "\x00"])
def test_a_file_that_is_no_mapping_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(text)
    with pytest.raises(InvalidConfiguration, match=r"scenario\.yaml"):
        read_scenario(path)


def test_the_schema_for_editors_is_the_one_in_the_examples() -> None:
    """Made anew by: isthmus simulate --schema > examples/scenario.schema.json"""
    assert json.loads((EXAMPLES / "scenario.schema.json").read_text()) == scenario_schema()


def test_the_schema_takes_quantities_as_people_write_them() -> None:
    links = scenario_schema()["$defs"]["LinkSection"]["properties"]
    assert {"number", "string"} == {one["type"] for one in links["jitter"]["anyOf"]}
