"""Small pieces of HTML: numbers, units, tables and pictures."""

from __future__ import annotations

import base64
import html
import math
import re
from collections.abc import Mapping, Sequence

ARROW = (
    '<li class="arrow"><svg viewBox="0 0 26 16" aria-hidden="true"><path d="M1 8h22M16 2l7 6-7 6" fill="none" '
    'stroke="#00598c" stroke-width="2"/></svg></li>'
)
"""An item of a list between two boxes of class `flow`."""
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def text(value: object) -> str:
    """Any text as HTML, so that it shows as it is."""
    return html.escape(str(value))


def unit(name: str) -> str:
    """A unit of the variables table as it is printed, `W m-2` as W m⁻²."""
    return text(re.sub(r"(?<=[a-z])-?\d+", lambda power: power[0].translate(SUPERSCRIPTS), name))


def fixed(value: float, digits: int = 2) -> str:
    """A number with fixed digits and a true minus sign."""
    return f"{value:.{digits}f}".replace("-", "−")


def scientific(value: float) -> str:
    """Two digits and a power of ten, as 1.3 × 10⁻⁴; zero as 0."""
    if value == 0.0:
        return "0"
    if not math.isfinite(value):
        return text(value)
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(SUPERSCRIPTS)}".replace("-", "−")


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that scrolls in its own frame; all cells are HTML, the first of each row heads it."""
    heading = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "\n".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>' for row in rows
    )
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="table: {re.sub("<[^>]*>", "", caption)}">\n'
        f"<table><caption>{caption}</caption>\n<thead><tr>{heading}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def figure(number: int, pictures: Mapping[str, tuple[str, bytes]], caption: str) -> str:
    """Pictures side by side where there is room.

    Args:
        number: of the figure.
        pictures: MIME type and bytes, by alternative text.
        caption: HTML.
    """
    images = "\n".join(
        f'<img alt="{text(alternative)}" src="data:{mime};base64,{base64.b64encode(data).decode()}">'
        for alternative, (mime, data) in pictures.items()
    )
    return (
        f'<figure>\n<div class="pictures">\n{images}\n</div>\n'
        f"<figcaption><b>Figure {number}.</b> {caption}</figcaption></figure>"
    )


def judged(cell: str, good: bool) -> str:
    """HTML with a mark that does not need its colour to be read."""
    return f'<span class="{"good" if good else "bad"}">{"✓" if good else "✗"} {cell}</span>'
