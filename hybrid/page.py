"""A report: one HTML page without scripts or outside resources, for screen and paper, in the style of all of them."""

from __future__ import annotations

from pathlib import Path
from string import Template

from ..emulators.atomic import write_atomically

STYLE_SHEET = Path(__file__).with_name("page.css")


def write_page(path: Path, template: Path, parts: dict[str, str]) -> Path:
    """Fill a template and write it, complete or not at all.

    Args:
        path: of the page.
        template: HTML with `$name` for each part and `$style` for the style sheet.
        parts: HTML by name.
    Raises:
        OSError: if the page cannot be written.
    """
    style = STYLE_SHEET.read_text(encoding="utf-8")
    page = Template(template.read_text(encoding="utf-8")).substitute(parts, style=style)
    write_atomically(path, page.encode())
    return path
