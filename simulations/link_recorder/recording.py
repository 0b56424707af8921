"""What was recorded so far, and its files: hours of looks must not be lost with the process that made them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from isthmus.errors import InvalidConfiguration
from simulations.link_recorder.near_end import LinkSample
from simulations.link_trace import LinkTrace
from simulations.trace_files.writing import TraceForm, write_link_trace

__all__ = ["Recording"]

# What a killed recorder loses at most, ...
_SAVE_EVERY_S = 10.0
# ... except where the files are so long that writing them would take more than a hundredth of the time.
_SAVING_SHARE = 0.01


class Recording:
    """Samples as they come. path, form: as for `write_link_trace`. said: gets a line where the files could not be
    written and looks go on, since the last write may succeed. clock: seconds, to tell how long a write takes."""

    def __init__(
        self, path: Path, form: TraceForm, said: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path, self._form, self._said, self._clock = path, form, said, clock
        self.samples: list[LinkSample] = []
        self._due_s, self._saved = _SAVE_EVERY_S, False

    def add(self, sample: LinkSample) -> None:
        """One more, written with the others now and then. Raises InvalidConfiguration where not even the first write
        succeeds."""
        self.samples.append(sample)
        if sample.time_s < self._due_s:
            return
        began_s = self._clock()
        try:
            self.save()
            self._saved = True
        except InvalidConfiguration as error:
            if not self._saved:
                raise
            self._said(f"not saved yet: {error}")
        self._due_s = sample.time_s + max(_SAVE_EVERY_S, (self._clock() - began_s) / _SAVING_SHARE)

    def save(self) -> tuple[Path, ...]:
        """The files with all samples so far, one at least. Raises InvalidConfiguration where the system refuses."""
        return write_link_trace(self.trace(), self._path, self._form)

    def trace(self) -> LinkTrace:
        """Of all samples so far, one at least. Where nothing came back the round trip is as before, at the start as
        afterwards."""
        known = [sample.rtt_s for sample in self.samples if sample.rtt_s is not None]
        filled: list[float] = []
        for sample in self.samples:
            before_s = filled[-1] if filled else known[0] if known else 0.0
            filled.append(before_s if sample.rtt_s is None else sample.rtt_s)
        start_s = self.samples[0].time_s
        return LinkTrace(
            tuple(sample.time_s - start_s for sample in self.samples),
            tuple(sample.uplink_bps for sample in self.samples),
            tuple(sample.downlink_bps for sample in self.samples),
            tuple(filled) if known else None,
        )
