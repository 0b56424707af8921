"""Packet opportunities: each line is a millisecond in which the link could carry one packet of 1504 bytes.

The form of mahimahi's mm-link (Netravali et al. 2015). Several lines with one number are several packets; the recording
starts over after its last line, whose number is its length. It holds one direction, and no round trip.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from simulations.bandwidth_trace import BandwidthTrace
from simulations.trace_files.trace_rows import TraceRow, bad_line, bandwidth_bps

__all__ = ["are_opportunities", "mahimahi_lines", "mahimahi_rows"]

_PACKET_BITS = 8 * 1504
# Packets of so long make one bandwidth: 0.12 Mbit/s to the packet, as fine as estimates of live links are.
_BIN_S = 0.1
_LONGEST_MS = 86_400_000
_REMEDY = "write milliseconds as whole numbers that do not fall, a day at most"


def are_opportunities(lines: Sequence[tuple[int, str]]) -> bool:
    """Whether the first lines are one whole number each."""
    return all(len(words := text.split()) == 1 and words[0].isdecimal() for _, text in lines[:3])


def mahimahi_rows(lines: Sequence[tuple[int, str]]) -> list[TraceRow]:
    """Of (number, text) of each line that holds something. Raises InvalidConfiguration naming the line."""
    times_ms = [_time_ms(text, number) for number, text in lines]
    for (earlier, _), (later, (number, text)) in pairwise(zip(times_ms, lines, strict=True)):
        if later < earlier:
            raise bad_line(text, number, "is before the packet above", _REMEDY)
    length_ms = times_ms[-1]
    if length_ms == 0:
        raise bad_line(lines[-1][1], lines[-1][0], "is a recording without length", _REMEDY)
    # Bins as even as possible, so that the recording keeps its length and its bits.
    bins = max(1, round(length_ms / 1e3 / _BIN_S))
    packets = [0] * bins
    for time_ms in times_ms:
        packets[max(0, time_ms - 1) * bins // length_ms] += 1  # a packet's time is the end of its millisecond
    bin_s = length_ms / 1e3 / bins
    rates = (bandwidth_bps(count * _PACKET_BITS / bin_s, 1, _REMEDY) for count in packets)
    return [TraceRow(number + 1, number * bin_s, bps, bps) for number, bps in enumerate(rates)]


def _time_ms(text: str, number: int) -> int:
    # Digits beyond those of the longest are not even parsed.
    words = text.split()
    if len(words) != 1 or not words[0].isdecimal() or len(words[0]) > len(str(_LONGEST_MS)):
        raise bad_line(text, number, "is not a packet's time", _REMEDY)
    time_ms = int(words[0])
    if time_ms > _LONGEST_MS:
        raise bad_line(text, number, "is not a packet's time", _REMEDY)
    return time_ms


def mahimahi_lines(trace: BandwidthTrace) -> Iterator[str]:
    """One direction, as this form holds it: a packet whenever its bits have come together. A trace of one value becomes
    a second of it."""
    period_s = trace.period_s if math.isfinite(trace.period_s) else 1.0
    ends_s = (*trace.times_s[1:], period_s)
    length_ms = max(1, math.ceil(period_s * 1e3 - 1e-6))
    bits, waiting_ms = 0.0, None
    for begin_s, end_s, bps in zip(trace.times_s, ends_s, trace.bandwidths_bps, strict=True):
        come = bits + bps * (end_s - begin_s)
        for number in range(1, int(come // _PACKET_BITS) + 1):
            if waiting_ms is not None:
                yield str(waiting_ms)
            waiting_ms = min(length_ms, math.ceil((begin_s + (number * _PACKET_BITS - bits) / bps) * 1e3))
        bits = come % _PACKET_BITS
    # The last line is the recording's length.
    yield str(length_ms)
