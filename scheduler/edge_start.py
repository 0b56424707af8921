"""An edge with the scheduler's own chooser: what every runtime starts, configures and drains."""

from __future__ import annotations

from pathlib import Path

from nodes.background import run_apart
from nodes.configured_policies import ConfiguredPolicies
from nodes.edge_host import EdgeHost
from nodes.journal import Journal
from nodes.settings import EdgeSettings
from scheduler.decision_record import RecordEncoder
from scheduler.plan_chooser import PlanChooser
from scheduler.policies.factory import configured_policy, load_all_installed

__all__ = ["configure_edge", "start_edge"]


async def start_edge(settings: EdgeSettings) -> EdgeHost:
    """An edge that serves. Raises what `EdgeHost.start` raises, NotFound and InvalidConfiguration for its policy,
    InvalidConfiguration for a decision log that cannot be written."""
    await run_apart(load_all_installed)
    if settings.decision_log is None:
        return await EdgeHost.start(settings, PlanChooser.of_edge(settings))
    folder, field = Path(settings.decision_log.folder), "edge.decision_log.folder"
    journal = Journal(folder, settings.decision_log.most_bytes, RecordEncoder(), field)
    try:
        return await EdgeHost.start(settings, PlanChooser.of_edge(settings, journal.put), journal)
    except BaseException:
        journal.close()
        raise


async def configure_edge(edge: EdgeHost, policies: ConfiguredPolicies) -> None:
    """These policies from the next request on, all or, where this raises, none of them: see
    `nodes.edge_host.SteeredChooser`."""
    await run_apart(_tried, policies)
    edge.configure(policies)


def _tried(policies: ConfiguredPolicies) -> None:
    """Make each once, off the event loop: requests do not wait for a module that is imported for the first time."""
    for one in policies.scoped:
        configured_policy(one.policy.name, one.policy.options, policies.folder)
