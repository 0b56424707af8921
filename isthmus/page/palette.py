"""Colours that tell things apart on a light page and on a dark one."""

from __future__ import annotations

import math

__all__ = ["LINES", "plan_colour"]

LINES = ("#b4367a", "#7a5cc4", "#3f9461", "#cf6142", "#4376cc", "#94802a", "#a85bb8", "#6e8f3c")
"""Of lines, in this order."""
_EDGE_ONLY = "#d08a12"
# Oklch: splits go from blue, next to cloud-only's teal, to red, next to edge-only's amber. Hue alone leaves too little
# between neighbours of a dozen, so that they take turns in lightness.
_SPLIT_HUES, _SPLIT_LIGHTNESSES, _SPLIT_CHROMA = (262.0, 402.0), (0.62, 0.48, 0.74), 0.15
_CLOUD_HUE, _CLOUD_LIGHTNESSES, _CLOUD_CHROMA = 208.0, (0.46, 0.84), 0.09


def plan_colour(kind: str, place: int, count: int) -> str:
    """Of the plan at that place, from 0, among the `count` of its kind ("edge-only", "cloud-only", "split"), each of
    another colour; as #rrggbb. Splits are meant to stand in the order of their depth."""
    share = place / (count - 1) if count > 1 else 0.5
    if kind == "edge-only":
        return _EDGE_ONLY
    if kind == "cloud-only":
        return _oklch(_between(_CLOUD_LIGHTNESSES, share), _CLOUD_CHROMA, _CLOUD_HUE)
    lightness = _SPLIT_LIGHTNESSES[place % len(_SPLIT_LIGHTNESSES)]
    return _oklch(lightness, _SPLIT_CHROMA, _between(_SPLIT_HUES, share))


def _between(ends: tuple[float, float], share: float) -> float:
    return ends[0] + share * (ends[1] - ends[0])


def _oklch(lightness: float, chroma: float, hue: float) -> str:
    """In sRGB; what lies outside it is cut off. See Ottosson, "A perceptual color space for image processing", 2020."""
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    red = 4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short
    green = -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short
    blue = -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short
    return "#" + "".join(f"{round(255 * _gamma(value)):02x}" for value in (red, green, blue))


def _gamma(linear: float) -> float:
    value = min(max(linear, 0.0), 1.0)
    return 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
