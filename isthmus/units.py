"""Quantities as people write them, SI inside: bits per second, seconds, bytes.

Bandwidth is decimal bits ("20mbps" is 20e6 bit/s); sizes are decimal bytes ("64MB" is 64e6), binary with an i
("64MiB").
"""

from __future__ import annotations

import math
import re

from isthmus.errors import InvalidQuantity

__all__ = [
    "format_bandwidth",
    "format_duration",
    "format_flops",
    "format_size",
    "parse_bandwidth_bps",
    "parse_duration_s",
    "parse_flops_per_s",
    "parse_power_w",
    "parse_price_per_byte",
    "parse_price_per_s",
    "parse_size_bytes",
    "parse_size_per_s",
]

_POWER_UNITS = {"mw": 1e-3, "w": 1.0, "kw": 1e3}
_PRICE_UNITS = {"/s": 1.0, "/min": 1 / 60.0, "/h": 1 / 3600.0}

_NUMBER = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+)\s*([A-Za-zµ/]*)\s*\Z")

_LEAST_BARE_BPS = 1000.0
# Of the next unit: with three digits, what is not below this rounds to one of it.
_NEARLY = 0.9995
_DIGITS = tuple("0123456789.")
_BANDWIDTH_UNITS = {
    prefix + suffix: scale
    for prefix, scale in (("", 1.0), ("k", 1e3), ("m", 1e6), ("g", 1e9))
    for suffix in ("bps", "bit/s")
}
_DURATION_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_FLOPS_UNITS = {"mflops": 1e6, "gflops": 1e9, "tflops": 1e12, "pflops": 1e15}
_SIZE_UNITS = {
    "b": 1.0,
    "kb": 1e3,
    "mb": 1e6,
    "gb": 1e9,
    "kib": 2.0**10,
    "mib": 2.0**20,
    "gib": 2.0**30,
}


def parse_bandwidth_bps(text: str | float, field: str = "bandwidth") -> float:
    """Bits per second of "20mbps", "1.5 gbps" or a number of bits per second. Must be positive and finite.

    Text without a unit must be 1000 at least: who writes "20" means megabits. Raises InvalidQuantity naming `field`.
    """
    bps = _above_zero(_parse(text, _BANDWIDTH_UNITS, field, "write it like 20mbps"), text, field, "20mbps")
    if isinstance(text, str) and bps < _LEAST_BARE_BPS and text.strip()[-1:] in _DIGITS:
        remedy = f"write {text.strip()}mbps, {text.strip()}kbps or {text.strip()}bit/s"
        raise InvalidQuantity(field, "has no unit", value=text, remedy=remedy)
    return bps


def parse_duration_s(text: str | float, field: str = "duration") -> float:
    """Seconds of "30ms", "2s", "500us" or a number of seconds. Zero or more, finite. Raises InvalidQuantity."""
    return _parse(text, _DURATION_UNITS, field, "write it like 30ms")


def parse_size_bytes(text: str | float, field: str = "size") -> int:
    """Bytes of "64MB", "1MiB" or a number of bytes. Zero or more. Raises InvalidQuantity."""
    return round(_parse(text, _SIZE_UNITS, field, "write it like 64MB"))


def parse_flops_per_s(text: str | float, field: str = "flops") -> float:
    """FLOP/s of "500gflops", "2 tflops" or a number of them. Above zero. Raises InvalidQuantity."""
    return _above_zero(_parse(text, _FLOPS_UNITS, field, "write it like 500gflops"), text, field, "500gflops")


def parse_size_per_s(text: str | float, field: str = "bandwidth") -> float:
    """Bytes a second of "50GB/s" or a number of them. Above zero. Raises InvalidQuantity."""
    units = {f"{unit}/s": scale for unit, scale in _SIZE_UNITS.items()}
    return _above_zero(_parse(text, units, field, "write it like 50GB/s"), text, field, "50GB/s")


def parse_power_w(text: str | float, field: str = "power") -> float:
    """Watts of "5W", "800mW" or a number of them. Zero or more. Raises InvalidQuantity."""
    return _parse(text, _POWER_UNITS, field, "write it like 5W")


def parse_price_per_s(text: str | float, field: str = "price") -> float:
    """Price a second of "0.9/h" or a number, in any currency. Zero or more. Raises InvalidQuantity."""
    return _parse(text, _PRICE_UNITS, field, "write it like 0.9/h")


def parse_price_per_byte(text: str | float, field: str = "price") -> float:
    """Price a byte of "0.09/GB" or a number, in any currency. Zero or more. Raises InvalidQuantity."""
    units = {f"/{unit}": 1 / scale for unit, scale in _SIZE_UNITS.items()}
    return _parse(text, units, field, "write it like 0.09/GB")


def _above_zero(value: float, text: str | float, field: str, example: str) -> float:
    if value <= 0:
        raise InvalidQuantity(field, "must be above zero", value=text, remedy=f"write it like {example}")
    return value


def _parse(text: str | float, units: dict[str, float], field: str, remedy: str) -> float:
    if isinstance(text, bool):
        raise InvalidQuantity(field, "is not a quantity", value=text, remedy=remedy)
    value = float(text) if isinstance(text, int | float) else _parse_text(text, units, field, remedy)
    if not math.isfinite(value) or value < 0:
        raise InvalidQuantity(field, "must be finite and not negative", value=text, remedy=remedy)
    return value


def _parse_text(text: str, units: dict[str, float], field: str, remedy: str) -> float:
    match = _NUMBER.match(text)
    if match is None:
        raise InvalidQuantity(field, "is not a quantity", value=text, remedy=remedy)
    number, unit = match.groups()
    if not unit:
        return float(number)
    scale = units.get(unit.lower())
    if scale is None:
        raise InvalidQuantity(field, f"has an unknown unit {unit!r}", value=text, remedy=remedy)
    return float(number) * scale


def format_bandwidth(bps: float) -> str:
    """ "20 Mbit/s" for 20e6."""
    for scale, unit in ((1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s")):
        if bps >= _NEARLY * scale:
            return f"{bps / scale:.3g} {unit}"
    return f"{bps:.3g} bit/s"


def format_flops(flops: float) -> str:
    """ "64 MFLOP" for 64e6; a multiply-add counts two."""
    for scale, unit in ((1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP"), (1e3, "kFLOP")):
        if flops >= _NEARLY * scale:
            return f"{flops / scale:.3g} {unit}"
    return f"{flops:.0f} FLOP"


def format_duration(seconds: float) -> str:
    """ "30 ms" for 0.03."""
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if abs(seconds) >= _NEARLY * scale:
            return f"{seconds / scale:.3g} {unit}"
    return "0 s" if seconds == 0 else f"{seconds / 1e-9:.3g} ns"


def format_size(size_bytes: float, digits: int = 3) -> str:
    """ "64 MB" for 64e6. digits: that are shown."""
    for scale, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size_bytes >= _NEARLY * scale:
            return f"{size_bytes / scale:.{digits}g} {unit}"
    return f"{size_bytes:.0f} B"
