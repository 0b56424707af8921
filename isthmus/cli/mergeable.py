"""Whether what is measured here and now may be merged into a profile that is there already."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from isthmus.errors import InvalidInput

if TYPE_CHECKING:
    from partitioner.profiles import DeviceProfile

__all__ = ["check_mergeable"]


def check_mergeable(output: Path, known: DeviceProfile, device: str, threads: int, engine: str) -> None:
    """Raise InvalidInput where `known`, which `output` holds, is of other hardware, or of other settings than these.

    Times of unlike machines beside each other would be shown, compared and planned with as those of one.
    """
    here, other = platform.node(), f"write another file than {output}"
    if known.provenance.scaled_from:
        scaled = f"{output} was never measured: it is scaled from {known.provenance.scaled_from}"
        raise InvalidInput("--output", scaled, remedy=f"{other}, or scale again with --like")
    if known.provenance.host != here:
        measured = f"{output} was measured on another host, {known.provenance.host}"
        raise InvalidInput("--output", measured, value=here, remedy=other)
    if known.slowdown != 1.0:
        emulated = f"{output} is of an emulated device, {known.slowdown:g} times as slow as this one"
        raise InvalidInput("--output", emulated, remedy=other)
    for option, given, found, words in _settings(known, device, threads, engine):
        if given != found:
            remedy = f"{other}, or use {option} {found}"
            raise InvalidInput(option, f"{output} was measured {words}", value=given, remedy=remedy)


def _settings(
    known: DeviceProfile, device: str, threads: int, engine: str
) -> Iterator[tuple[str, str | int, str | int, str]]:
    """Each option with what is given and what the profile was measured with, and the latter in words."""
    yield "--engine", engine, known.engine, f"on {known.engine}"
    yield "--device", device, known.device, f"on {known.device}"
    yield "--threads", threads, known.threads, f"with {known.threads} thread{'' if known.threads == 1 else 's'}"
