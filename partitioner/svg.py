"""SVG elements as text. Whatever a name holds is escaped; nothing refers to anything outside the picture."""

from __future__ import annotations

import re
from html import escape

__all__ = ["element", "escaped", "shortened", "text", "wrapped"]

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CHARACTER_WIDTH = 0.56  # of Helvetica and Arial over mixed text, in font sizes


def escaped(said: str) -> str:
    """`said` as XML text or attribute value; what XML cannot hold becomes a question mark in a lozenge."""
    return escape(_NOT_XML.sub("\ufffd", said))


def element(name: str, content: str = "", **attributes: str | float) -> str:
    """One element around `content` (markup). Attributes: `class_` is class, an underscore inside is a hyphen."""
    written = "".join(f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"' for key, value in attributes.items())
    return f"<{name}{written}>{content}</{name}>" if content else f"<{name}{written}/>"


def text(x: float, y: float, kind: str, said: str, anchor: str = "start") -> str:
    """A text of the style class `kind` at a point on its baseline."""
    return element("text", escaped(said), x=x, y=y, class_=kind, text_anchor=anchor)


def shortened(said: str, most: int) -> str:
    """At most `most` characters; the middle is left out, because names differ at their ends."""
    if len(said) <= most:
        return said
    head = (most - 1) * 2 // 3
    return said[:head] + "…" + said[len(said) - (most - 1 - head) :]


def wrapped(said: str, width: float, font_size: float) -> list[str]:
    """Lines of whole words that fit into `width` pixels, as far as one can tell without the font."""
    most = max(8, int(width / (_CHARACTER_WIDTH * font_size)))
    lines = [""]
    for word in said.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > most:
            lines.append("")
        lines[-1] = f"{lines[-1]} {shortened(word, most)}".strip()
    return lines


def _value(value: str | float) -> str:
    return escaped(value) if isinstance(value, str) else f"{round(value, 2):g}"
