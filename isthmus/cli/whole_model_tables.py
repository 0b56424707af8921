"""The whole of a model on a device: how long it loads, what it holds, and how its time grows with the batch."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from isthmus.cli.plain_table import plain_table
from isthmus.units import format_duration, format_size
from partitioner.batch_law import BatchLaw, batch_law
from partitioner.cost_model import ModelFacts
from partitioner.measurements import Footprint
from partitioner.profiles import DeviceProfile

__all__ = ["whole_model_tables"]


def whole_model_tables(profile: DeviceProfile, model: ModelFacts) -> Iterator[RenderableType]:
    """What of it was measured, each in its turn."""
    for one in profile.footprints:
        if (one.model_digest, one.engine) == (model.digest, profile.engine):
            yield Text(_footprint(one))
    law = batch_law(profile, model.digest, len(model.graph.ops))
    if law is not None:
        yield Text(_law(law))
        yield _batches(law)


def _footprint(held: Footprint) -> str:
    spread = "" if held.load_spread_s is None else f" + {format_duration(held.load_spread_s)}"
    load = f"{format_duration(held.load_s)}{spread}"
    parts = [
        f"loads in {load} (from its artifact, cached by the system, to the first answer)",
        f"{format_size(held.parameter_bytes)} of parameters",
    ]
    if held.peak_activation_bytes is not None:
        parts.append(f"{format_size(held.peak_activation_bytes)} of activations at most (batch {held.batch})")
    return "; ".join(parts)


def _law(law: BatchLaw) -> str:
    fixed, item = format_duration(law.line.fixed_s), format_duration(law.line.per_item_s)
    largest = max(law.seconds)
    return f"a batch of B, up to {largest}: {fixed} + {item} x B; the batch that fits worst is {law.residual:.1%} off"


def _batches(law: BatchLaw) -> Table:
    """Each batch that was measured, beside as many requests one by one."""
    made = plain_table("batch", "time", "per item", "by the line", "batching gains")
    for batch, seconds in law.seconds.items():
        per_item, line = format_duration(seconds / batch), format_duration(law.line.at(batch))
        made.add_row(str(batch), format_duration(seconds), per_item, line, f"{law.gain(batch):.2f}x")
    return made
