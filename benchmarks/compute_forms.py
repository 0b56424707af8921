"""The two forms of figures on replicas that come and go: on the paced engine, where replicas sleep for their compute
and many fit on two cores; and, fewer times, on real compute."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from benchmarks.figure import Options

__all__ = ["FORMS", "PACED", "REAL", "chosen_forms", "values_told"]

PACED, REAL = "paced", "real"
FORMS = (PACED, REAL)


def chosen_forms(options: Options) -> tuple[str, ...]:
    """Those named by --scenarios; without, both, and with --quick the paced one."""
    return options.scenarios or ((PACED,) if options.quick else FORMS)


def values_told(name: str, values: Sequence[float]) -> str:
    """A line with the median and every value."""
    return f"{name:28} median {median(values):6.2f}   {' '.join(f'{value:.2f}' for value in values)}"
