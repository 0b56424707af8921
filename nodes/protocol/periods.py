"""How often two sides tell each other what nobody asked for. One place, for nodes on their clocks and the simulator."""

from __future__ import annotations

__all__ = ["ECHO_PERIOD_S", "LOAD_PERIOD_S", "WANT_PERIOD_S"]

ECHO_PERIOD_S = 0.5
"""From one echo of a stream to the next, while nothing of it is under way."""
LOAD_PERIOD_S = 0.5
"""From one look of a replica at its load to the next: an edge is told where it has changed."""
WANT_PERIOD_S = 2.0
"""An edge that has a request and knows of no replica says so no more often."""
