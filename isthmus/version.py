"""The version of this package, as nodes tell it to each other."""

from __future__ import annotations

__all__ = ["VERSION"]

VERSION = "0.1.0"
