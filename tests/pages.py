"""Pages of HTML taken apart: what they are made of, what they say, and that they need nothing but themselves."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path


class Page(HTMLParser):
    """What a page is made of."""

    VOID = ("meta", "img", "br", "path")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.headings: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def read(report: Path) -> str:
    return report.read_text(encoding="utf-8")


def words(report: Path) -> str:
    """The text of a page on one line, without its style."""
    body = read(report).split("<body>")[1]
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", "", body))


def pictures_of_self_contained(report: Path) -> list[dict[str, str | None]]:
    """Attributes of all pictures, each with its own alternative text, of a page that needs no other resource."""
    page = Page(read(report))
    assert {"script", "link", "iframe", "object"}.isdisjoint(tag for tag, _ in page.tags)
    for _, attributes in page.tags:
        for name in ("src", "href", "srcset", "data"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert not re.search(r"url\(|@import", read(report))
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert all(attributes["alt"] for attributes in pictures)
    assert len({attributes["alt"] for attributes in pictures}) == len(pictures)
    return pictures
