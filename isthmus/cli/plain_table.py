"""A table without lines, as `isthmus profile` prints them."""

from __future__ import annotations

from rich.table import Table

__all__ = ["plain_table"]


def plain_table(first: str, *others: str) -> Table:
    """An empty one: column `first` holds words, the others numbers."""
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    made.add_column(first)
    for name in others:
        made.add_column(name, justify="right", no_wrap=True)
    return made
