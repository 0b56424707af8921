"""An edge with the scheduler's own chooser: what every runtime starts and drains."""

from __future__ import annotations

from pathlib import Path

from nodes.edge_host import EdgeHost
from nodes.journal import Journal
from nodes.settings import EdgeSettings
from scheduler.decision_record import RecordEncoder
from scheduler.plan_chooser import PlanChooser

__all__ = ["start_edge"]


async def start_edge(settings: EdgeSettings) -> EdgeHost:
    """An edge that serves. Raises what `EdgeHost.start` raises, NotFound and InvalidConfiguration for its policy,
    InvalidConfiguration for a decision log that cannot be written."""
    if settings.decision_log is None:
        return await EdgeHost.start(settings, PlanChooser.of_edge(settings))
    folder, field = Path(settings.decision_log.folder), "edge.decision_log.folder"
    journal = Journal(folder, settings.decision_log.most_bytes, RecordEncoder(), field)
    try:
        return await EdgeHost.start(settings, PlanChooser.of_edge(settings, journal.put), journal)
    except BaseException:
        journal.close()
        raise
