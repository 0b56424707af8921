"""The simulated half: a scenario with its machines' profile filled in, its requests, its runs."""

from __future__ import annotations

from pathlib import Path

from benchmarks.fidelity_profile import Profile
from simulations.fleet import Fleet
from simulations.fleet_clients import OpenLoopClient, RequestMaker
from simulations.kernel import Simulation
from simulations.run_record import RunRecord
from simulations.scenario.reading import ScenarioFile
from simulations.scenario.scenario import Scenario
from simulations.scenario.sweep import with_settings
from simulations.site_request import Arrival
from simulations.workload.closed_loop import ClosedLoop

__all__ = ["arrivals_of", "completed", "simulated_run"]


def completed(file: ScenarioFile, profile: Profile, folder: Path) -> ScenarioFile:
    """The file with what was measured. folder: where the plans are written."""
    model, edge = file.scenario.models[0].name, file.scenario.edges[0].name
    plans = folder / f"{model}.plans.json"
    plans.write_text(profile.table.to_json(), encoding="utf-8")
    settings = {
        f"models.{model}.plans": str(plans),
        f"edges.{edge}.overhead": profile.overhead_s,
        f"edges.{edge}.cloud_overhead": max(0.0, profile.crossing_s),
    }
    return with_settings(file, list(settings.items()))


def simulated_run(file: ScenarioFile, replication: int) -> RunRecord:
    """One run."""
    return Fleet(file.scenario, file.folder).run(replication)


def arrivals_of(scenario: Scenario, replication: int) -> tuple[Arrival, ...]:
    """The requests that come in that run, in their order: those that the simulated edge gets."""
    simulation, found = Simulation(), list[Arrival]()
    edge = f"{scenario.edges[0].name}-0"
    for section in scenario.clients:
        process = section.arrivals.process()
        seed = f"{scenario.seed + replication}/{edge}/{section.name}"
        make = RequestMaker(section, section.name, seed)
        assert not isinstance(process, ClosedLoop), "such a site is refused"
        OpenLoopClient(simulation, process, make, found.append, seed).start(scenario.duration)
    simulation.run()
    return tuple(found)
