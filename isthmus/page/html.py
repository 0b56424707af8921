"""HTML as text: elements, tables and figures; whatever is not markup is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from partitioner.svg import element, escaped

__all__ = ["Markup", "bullets", "cell_text", "figure", "listing", "paragraph", "section", "swatch", "table"]


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def cell_text(value: str) -> str:
    """`value` escaped, unless it is markup."""
    return value if isinstance(value, Markup) else escaped(value)


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], numbers_from: int = 1) -> str:
    """A table whose columns from `numbers_from` on are set flush right; it scrolls where it is too wide."""
    kinds = ["" if i < numbers_from else ' class="n"' for i in range(len(head))]
    top = "".join(f'<th scope="col"{kind}>{cell_text(name)}</th>' for name, kind in zip(head, kinds, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{cell_text(cell)}</td>" for cell, kind in zip(row, kinds, strict=True)) + "</tr>\n"
        for row in rows
    )
    inside = f"<caption>{escaped(caption)}</caption><thead><tr>{top}</tr></thead>\n<tbody>\n{body}</tbody>"
    return f'<div class="scroll" tabindex="0"><table>{inside}</table></div>\n'


def listing(pairs: Iterable[tuple[str, str]]) -> str:
    """Terms and what they are."""
    return element("dl", "".join(f"<dt>{escaped(term)}</dt><dd>{cell_text(said)}</dd>" for term, said in pairs)) + "\n"


def figure(drawing: str, caption: str) -> str:
    """A drawing (markup) over its caption."""
    return f"<figure>{drawing}<figcaption>{escaped(caption)}</figcaption></figure>\n"


def paragraph(said: str, kind: str = "") -> str:
    """A paragraph of plain text."""
    return element("p", cell_text(said), class_=kind) + "\n" if kind else f"<p>{cell_text(said)}</p>\n"


def bullets(kind: str, lines: Iterable[str]) -> str:
    """A list of sentences; nothing without any."""
    items = "".join(f"<li>{escaped(line)}</li>" for line in lines)
    return element("ul", items, class_=kind) + "\n" if items else ""


def section(title: str, *parts: str, level: int = 3) -> str:
    """Parts (markup) under a heading."""
    return f"<section><h{level}>{escaped(title)}</h{level}>\n{''.join(parts)}</section>\n"


def swatch(code: str, colour: str) -> Markup:
    """A plan's code on its colour, as in the plots."""
    return Markup(f'<span class="code" style="--c:{escaped(colour)}">{escaped(code)}</span>')
