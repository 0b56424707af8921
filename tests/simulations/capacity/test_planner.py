"""The cheapest fleet of a small scenario, against all fleets simulated to the end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from isthmus.errors import InvalidConfiguration
from partitioner.plan_table import PlanTable
from simulations.answers.prices import Prices
from simulations.answers.slo import Slo, kept
from simulations.capacity.candidate import choices, fleet_price
from simulations.capacity.plan_answer import CapacityAnswer
from simulations.capacity.planner import CapacityPlanner
from simulations.capacity.verdict import judged
from simulations.fleet import Fleet
from simulations.scenario.reading import ScenarioFile
from simulations.scenario.sweep import with_settings
from tests.scheduler.conftest import DIGEST, make_entry
from tests.simulations.capacity.conftest import Make, scenario_file

TYPES = {"small": {"cloud.speed": 1.0}, "large": {"cloud.speed": 2.0}}
SLO = Slo(0.4, 0.9)


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> CapacityAnswer:
    """With two types of replicas, of which the larger one is the cheaper way."""
    capacity = {"replicas": {"most": 6}, "replica_types": TYPES}
    file = scenario_file(tmp_path_factory.mktemp("small"), capacity=capacity, prices="prices.yaml")
    return CapacityPlanner(file).answer()


def share_in_time(scenario_of: Make, replicas: int, speed: float) -> float:
    """Of a whole run."""
    file = with_settings(scenario_of(), [("cloud.replicas", replicas), ("cloud.speed", speed)])
    run = Fleet(file.scenario, file.folder).run()
    return float(np.mean(kept(run, run.counted(), SLO)))


def test_the_fleet_that_is_found_is_the_cheapest_that_keeps_the_promise(
    scenario_of: Make, answer: CapacityAnswer
) -> None:
    found = answer.found
    assert found is not None
    price = {"small": 1.0, "large": 1.4}
    keeping = [
        (price[name] * replicas, name, replicas)
        for name, speed, fleets in (("small", 1.0, (2, 3)), ("large", 2.0, (1, 2)))
        for replicas in fleets
        if share_in_time(scenario_of, replicas, speed) >= 0.9
    ]
    assert (found.per_hour, found.choice, found.replicas) == min(keeping)
    assert found.confirmed.whole
    assert found.confirmed.share.low is not None
    assert found.confirmed.share.low > 0.9
    assert found.less is not None
    assert found.less.side == "below"
    assert found.less.share.value < 0.9


def test_kinds_are_told_with_the_traffic_that_they_were_compared_by(answer: CapacityAnswer) -> None:
    found = answer.found
    assert found is not None
    assert found.per_hour is not None
    (told,) = (one for one in answer.considered if one.choice == found.choice)
    sent_gb = 24.0 * 20e3 * 3600 / 1e9  # an hour, at 0.1 each
    assert told.per_hour == pytest.approx(found.per_hour + 0.1 * sent_gb, rel=0.05)


def test_what_limits_it_how_far_it_goes_and_what_if_are_told(answer: CapacityAnswer) -> None:
    found = answer.found
    assert found is not None
    assert found.binding.stage == "cloud_queue"
    assert found.headroom.breaks is not None
    assert 4 <= found.headroom.keeps < found.headroom.breaks
    assert found.headroom.blame.stage == "cloud_queue"
    changes = {one.change: one for one in found.sensitivities}
    assert changes["load doubled"].side == "below"
    assert (changes["load doubled"].replicas or 0) > found.replicas
    assert changes["uplink halved"].replicas == found.replicas  # 20 kB at 25 Mbit/s are nothing


def test_slower_replicas_are_told_as_whole_runs_have_them(scenario_of: Make, answer: CapacityAnswer) -> None:
    """The large type at three quarters of its twice the speed."""
    found = answer.found
    assert found is not None
    (told,) = (one for one in found.sensitivities if one.change == "replicas at 75% of their speed")
    shares = {replicas: share_in_time(scenario_of, replicas, 1.5) for replicas in range(1, 5)}
    assert told.side == ("above" if shares[found.replicas] >= 0.9 else "below")
    assert told.share.value == pytest.approx(shares[found.replicas], abs=0.05)
    assert told.replicas == min(replicas for replicas, share in shares.items() if share >= 0.9)


def test_theory_stands_beside_what_was_simulated(answer: CapacityAnswer) -> None:
    assert answer.found is not None
    check = answer.found.queue
    assert check is not None
    assert check.plausible
    assert check.theory.rate_per_s == pytest.approx(24.0, rel=0.1)
    assert check.theory.service_s == pytest.approx(0.05, rel=0.1)


def test_a_fleet_that_is_far_too_small_is_given_up_early(scenario_of: Make) -> None:
    file = with_settings(scenario_of(duration="20min"), [("cloud.replicas", 1)])
    verdict = judged(Fleet(file.scenario, file.folder), SLO, 0.95, range(2), early=True)
    assert (verdict.side, verdict.runs) == ("below", 1)
    assert verdict.simulated_s < 300.0


@pytest.fixture
def filling(scenario_of: Make) -> ScenarioFile:
    """Half a percent more than one replica serves: after a minute each request waits 0.3 s."""
    arrivals = {"kind": "steady", "period": 4 / 10.05}
    settings = [("clients.camera.arrivals", arrivals), ("duration", "3min"), ("warm_up", 0), ("spread", 0.0)]
    return with_settings(scenario_of(), settings)


def test_a_queue_that_fills_slowly_looks_good_in_the_beginning(filling: ScenarioFile) -> None:
    fleet = Fleet(with_settings(filling, [("cloud.replicas", 1)]).scenario, filling.folder)
    assert judged(fleet, SLO, 0.95, range(2), early=True).side == "above"
    assert judged(fleet, SLO, 0.95, range(2, 4), early=False).side == "below"


def test_what_whole_runs_do_not_confirm_is_not_the_answer(filling: ScenarioFile) -> None:
    answer = CapacityPlanner(filling).answer()
    found = answer.found
    assert found is not None
    assert (found.replicas, found.confirmed.side) == (2, "above")
    assert [(one.replicas, one.side) for one in answer.tried if one.whole] == [(1, "below"), (2, "above")]
    assert (1, "above") in [(one.replicas, one.side) for one in answer.tried if not one.whole]
    assert found.less == next(one for one in answer.tried if one.whole and one.replicas == 1)
    assert found.binding.stage == "cloud_queue"
    assert all(one.replicas is None or one.replicas >= 2 for one in found.sensitivities)
    assert any("a load that is hardly too much fills them slowly" in one for one in answer.assumptions)


def test_where_whole_runs_confirm_no_fleet_none_is_found(filling: ScenarioFile) -> None:
    answer = CapacityPlanner(with_settings(filling, [("capacity.replicas.most", 1)])).answer()
    assert answer.found is None
    assert [(one.side, one.whole) for one in answer.tried] == [("above", False), ("below", True)]


def test_what_is_confirmed_is_confirmed_by_requests_that_the_search_has_not_seen(scenario_of: Make) -> None:
    """Whole runs of the seeds after those of the search's replications, here both that there are."""
    answer = CapacityPlanner(scenario_of()).answer()
    assert answer.found is not None
    file = with_settings(scenario_of(), [("cloud.replicas", answer.found.replicas)])
    runs = [Fleet(file.scenario, file.folder).run(number) for number in (2, 3)]
    in_time = np.concatenate([kept(run, run.counted(), SLO) for run in runs])
    assert answer.found.confirmed.requests == len(in_time)
    assert answer.found.confirmed.share.value == pytest.approx(float(np.mean(in_time)))


def test_more_edges_that_are_too_near_to_tell_are_not_told_as_too_many(scenario_of: Make) -> None:
    answer = CapacityPlanner(scenario_of(duration="30s", replications=1)).answer()
    assert answer.found is not None
    assert answer.found.headroom.breaks is not None
    assert answer.found.headroom.side == "open"


def test_of_a_few_requests_that_are_all_in_time_nothing_is_concluded(scenario_of: Make) -> None:
    settings = [("cloud.replicas", 3), ("clients.camera.arrivals.rate_per_s", 0.05), ("duration", "255s")]
    file = with_settings(scenario_of(), settings)
    verdict = judged(Fleet(file.scenario, file.folder), Slo(5.0, 0.999), 0.95, range(1), early=True)
    assert verdict.requests < 100
    assert (verdict.side, verdict.share.value) == ("open", 1.0)
    assert verdict.share.low is not None
    assert verdict.share.low < 0.999


def test_a_peak_that_comes_later_is_planned_for(scenario_of: Make) -> None:
    """A minute that begins with two requests a second, of which one replica serves ten, and ends with twenty-three."""
    arrivals = {"kind": "diurnal", "rate_per_s": 3.0, "swing": 0.9, "period": "2min", "peak": "1min"}
    settings = [("clients.camera.arrivals", arrivals), ("replications", 1)]
    file = with_settings(scenario_of(), settings)
    found = CapacityPlanner(file).cheapest()
    assert found is not None
    assert found.replicas > 1
    run = Fleet(with_settings(file, [("cloud.replicas", found.replicas)]).scenario, file.folder).run()
    assert float(np.mean(kept(run, run.counted(), SLO))) >= 0.9


def test_the_pilots_requests_are_among_those_that_were_simulated(scenario_of: Make) -> None:
    answer = CapacityPlanner(scenario_of(slo={"within": "50ms", "share": 0.9})).answer()
    judged_requests = sum(one.requests for one in answer.tried)
    pilot_s, rate_per_s = 5.0 + 3 * 5.0, 24.0  # the warm-up, then three windows
    assert answer.requests - judged_requests == pytest.approx(pilot_s * rate_per_s, rel=0.2)


def test_of_fleets_that_whole_runs_refute_nothing_is_kept_but_the_verdict(filling: ScenarioFile) -> None:
    planner = CapacityPlanner(filling)
    planner.cheapest()
    kept = [(whole.verdict.holds, whole.first is not None) for whole in planner._wholes.values()]
    assert kept == [(False, False), (True, True)]


def test_more_edges_and_other_worlds_are_not_told_as_if_whole_runs_had_confirmed_them(
    scenario_of: Make, answer: CapacityAnswer
) -> None:
    assert answer.found is not None
    assert not answer.found.headroom.whole
    assert not any(one.whole for one in answer.found.sensitivities)
    arrivals = {"kind": "diurnal", "rate_per_s": 6.0, "swing": 0.1, "period": "1h"}
    five = {"replicas": {"least": 5, "most": 5}}
    changing = with_settings(
        scenario_of(replications=1, duration="30s", capacity=five), [("clients.camera.arrivals", arrivals)]
    )
    found = CapacityPlanner(changing).answer().found
    assert found is not None
    assert found.headroom.whole
    assert all(one.whole for one in found.sensitivities)


def test_the_client_that_the_promise_about_all_leaves_out_is_named(scenario_of: Make) -> None:
    """Nine in ten requests are the crowd's, whose edges are near; the till's never come in time over a second's way."""
    lan = {"name": "lan", "uplink": "50mbps", "downlink": "50mbps", "rtt": "10ms"}
    edges = [{"name": "cell", "count": 4, "link": "lan"}, {"name": "far", "link": "sea"}]
    camera = {"name": "camera", "edges": "cell", "model": "net", "file": "20kB"}
    poisson = {"kind": "poisson", "rate_per_s": 6.0}
    seldom = {"kind": "poisson", "rate_per_s": 0.5}
    clients = [
        {**camera, "arrivals": poisson},
        {**camera, "name": "till", "edges": "far", "arrivals": seldom},
    ]
    links = [lan, {**lan, "name": "sea", "rtt": "1s"}]
    five = {"replicas": {"least": 5, "most": 5}}
    file = scenario_of(links=links, edges=edges, clients=clients, capacity=five)
    found = CapacityPlanner(file).answer().found
    assert found is not None
    assert found.confirmed.share.value > 0.9
    assert found.worst is not None
    assert (found.worst.kind, found.worst.name, found.worst.share.value) == ("client", "till", 0.0)
    assert found.worst.n == pytest.approx(30, abs=20)


FIVE_REPLICAS = {"replicas": {"least": 5, "most": 5}}


def refused(changed: Sequence[tuple[str, object]]) -> str:
    """As if a scenario took five cells and one client of a section at the most: real bounds take minutes to reach."""
    bounds = {"edges.cell.count": 5, "clients.camera.count": 1}
    return next((f"{path}: too many" for path, count in changed if int(str(count)) > bounds.get(path, 0)), "")


def test_what_no_scenario_may_be_is_left_out_with_its_reason_and_costs_no_answer(
    scenario_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    planner = CapacityPlanner(scenario_of(capacity=FIVE_REPLICAS, replications=1))
    numbers = ("edges.cell.count", "clients.camera.count")
    monkeypatch.setattr(
        planner, "_cannot_be", lambda _, changed: refused([one for one in changed if one[0] in numbers])
    )
    found = planner.answer().found
    assert found is not None
    assert (found.headroom.keeps, found.headroom.breaks) == (5, None)
    assert found.headroom.limit == "edges.cell.count: too many"
    assert [one.change for one in found.sensitivities] == ["uplink halved", "replicas at 75% of their speed"]
    assert found.left_out == ("load doubled: clients.camera.count: too many",)


def test_more_clients_or_edges_than_a_section_takes_are_no_scenario(scenario_of: Make) -> None:
    file = scenario_of(capacity=FIVE_REPLICAS)
    planner, (choice,) = CapacityPlanner(file), choices(file)
    for path in ("clients.camera.count", "edges.cell.count"):
        assert planner._cannot_be(choice, [(path, 5_000_000)]).startswith(f"{path}: ")
    assert planner._cannot_be(choice, [("edges.cell.count", 5)]) == ""


def test_where_no_fleet_will_do_none_is_found(scenario_of: Make) -> None:
    answer = CapacityPlanner(scenario_of(slo={"within": "50ms", "share": 0.9})).answer()
    assert answer.found is None
    assert {one.side for one in answer.tried} == {"below"}
    assert any("alike over its time: a fleet is simulated until it is clear" in one for one in answer.assumptions)
    assert any("the same links (common random numbers)" in one for one in answer.assumptions)


def test_policies_that_decide_in_place_of_an_edges_own_are_told(scenario_of: Make) -> None:
    edges = [{"name": "cell", "count": 4, "link": "lan", "policy": "edge-only"}]
    capacity = {"replicas": {"most": 1}, "policies": ["cloud-only"]}
    answer = CapacityPlanner(scenario_of(edges=edges, capacity=capacity, replications=1)).answer()
    assert "capacity.policies decide in place of edges.cell.policy (edge-only)" in answer.assumptions


def test_a_scenario_that_changes_is_simulated_to_the_end_and_says_so(scenario_of: Make) -> None:
    capacity = {"replicas": {"most": 1}, "replica_types": {"frail": {"cloud.failures": {"every": "1h", "for": "30s"}}}}
    file = scenario_of(slo={"within": "50ms", "share": 0.9}, capacity=capacity, replications=1)
    answer = CapacityPlanner(file).answer()
    run = Fleet(with_settings(file, [("cloud.replicas", 1)]).scenario, file.folder).run()
    assert [one.requests for one in answer.tried] == [len(run.counted())]
    assert any("(replicas fail): each fleet is judged by whole runs of 60 s" in one for one in answer.assumptions)


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"slo": None}, r"slo: is missing"),
        ({"capacity": {"replica_types": TYPES}}, r"prices: is missing"),
        ({"capacity": {"replica_types": {"x": {"cloud.sped": 2}}}}, r"cloud.sped"),
        ({"capacity": {"replicas": {"least": 9, "most": 3}}}, r"replicas.most: is below least"),
        ({"capacity": {"replica_types": {**TYPES, "odd": {}}}, "prices": "prices.yaml"}, r"prices.replicas.*odd"),
        ({"cloud": {"autoscaling": {}}}, r"cloud.autoscaling: decides"),
        (
            {"capacity": {"edge_types": {"slow": {"edges.cell.slowdown": 4}, "quick": {}}}, "prices": "prices.yaml"},
            r"prices.edges: is missing: better edges would be free",
        ),
        (
            {"cloud": {"replicas": 3, "failures": [{"at": 9, "for": 5, "replica": 1}]}},
            r"cloud.failures.0.replica: is never there.* \(capacity.replicas.least",
        ),
    ],
)
def test_what_cannot_be_planned_is_named(scenario_of: Make, changed: dict[str, object], fault: str) -> None:
    with pytest.raises(InvalidConfiguration, match=fault):
        CapacityPlanner(scenario_of(**changed))


@pytest.mark.parametrize(("traffic", "edge_type", "per_hour"), [("0/GB", "plain", 0.04), ("1/GB", "zipped", 0.59)])
def test_what_crosses_counts_among_what_a_fleet_costs(
    scenario_of: Make, traffic: str, edge_type: str, per_hour: float
) -> None:
    """Edges that send 4 kB are dearer by 0.2 an hour than such that send files of 20 kB, 24 a second in all."""
    files = {"plain": "plans.json", "zipped": "zipped.json"}
    types = {name: {"edges.cell.plans.net": file} for name, file in files.items()}
    edges = [{"name": "cell", "count": 4, "link": "lan", "policy": "cloud-only"}]
    capacity = {"replicas": {"least": 3, "most": 3}, "edge_types": types}
    file = scenario_of(prices="prices.yaml", edges=edges, capacity=capacity)
    zipped = make_entry("input", "zstd", size=4_000, cloud_s=0.1)
    table = PlanTable("net", DIGEST, (make_entry(edge_s=2.0), zipped))
    (file.folder / "zipped.json").write_text(table.to_json())
    prices = f"replicas: 1/h\nedges: {{plain: 0.01/h, zipped: 0.06/h}}\nuplink: {traffic}\n"
    (file.folder / "prices.yaml").write_text(prices)
    found = CapacityPlanner(file).cheapest()
    assert found is not None
    assert (found.of.edge_type, found.replicas) == (edge_type, 3)
    assert found.price == pytest.approx(3 + per_hour, abs=0.05)


def test_a_price_goes_by_type_and_by_group(scenario_of: Make) -> None:
    prices = Prices("EUR", {"small": 1 / 3600}, {"pi": 0.1 / 3600, "cell": 0.2 / 3600})
    section = {"replica_types": {"small": {}}, "edge_types": {"pi": {"edges.cell.slowdown": 2}}}
    file = scenario_of(capacity=section)
    (choice,) = choices(file)
    assert fleet_price(choice, choice.scenario(file, 3), 3, prices) == pytest.approx(3 * 1 + 4 * 0.1)
    (plain,) = choices(scenario_of(capacity={"replica_types": {"small": {}}}))
    assert fleet_price(plain, plain.scenario(file, 3), 3, prices) == pytest.approx(3 * 1 + 4 * 0.2)
