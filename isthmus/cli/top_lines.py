"""Small drawings made of characters, and text that cannot steer a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.text import Text

__all__ = ["BLOCK", "plain", "sparkline", "stacked"]

BLOCK = "█"
_LEVELS = "▁▂▃▄▅▆▇█"
_MOST_CHARACTERS = 300


def plain(said: str) -> str:
    """`said` in one line without control characters: a name must not move the cursor or set a title."""
    return "".join(character if character.isprintable() else "\ufffd" for character in said[:_MOST_CHARACTERS])


def sparkline(values: Sequence[float | None]) -> str:
    """A mark for each value, as high as its share of the greatest; a blank for what is not known."""
    most = max((value for value in values if value is not None), default=0.0)
    return "".join(" " if value is None else _LEVELS[_level(value, most)] for value in values)


def _level(value: float, most: float) -> int:
    share = value / most if most > 0 else 0.0
    return min(len(_LEVELS) - 1, max(0, math.ceil(share * len(_LEVELS)) - 1))


def stacked(parts: Sequence[tuple[float, str]], most: float, width: int) -> Text:
    """A bar of parts, each in its style, where `most` is as long as `width`; borders are rounded, so the whole is not
    longer or shorter than its sum."""
    bar, done, drawn = Text(), 0.0, 0
    for value, style in parts:
        done += value
        until = round(width * done / most) if most > 0 else 0
        bar.append(BLOCK * (until - drawn), style)
        drawn = max(drawn, until)
    return bar
