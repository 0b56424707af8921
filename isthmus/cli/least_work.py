"""What a command says of a model whose FLOPs are not all known."""

from __future__ import annotations

from collections.abc import Iterator

from partitioner.graph import ModelGraph
from partitioner.named_few import named_few

__all__ = ["least_work"]


def least_work(graph: ModelGraph) -> Iterator[str]:
    """One sentence, or none where all are."""
    if ops := graph.least_counted:
        yield f"FLOPs of {named_few(ops)}: the least, as data decides how often a body runs or on how much"
