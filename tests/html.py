"""Questions to a page, by CSS selectors, so that tests say what a page holds and not how its markup is spelled."""

from __future__ import annotations

from typing import Protocol

from bs4 import BeautifulSoup, Tag


class Response(Protocol):
    @property
    def content(self) -> bytes: ...


def select(page: Response | str, selector: str) -> list[Tag]:
    """The elements of a page that the selector matches, in order."""
    markup = page if isinstance(page, str) else page.content.decode()
    return list(BeautifulSoup(markup, "html.parser").select(selector))


def texts(page: Response | str, selector: str) -> list[str]:
    """What each of them says, with single blanks between its words."""
    return [" ".join(element.get_text().split()) for element in select(page, selector)]


def values(page: Response | str, selector: str, attribute: str) -> list[str]:
    """What each of them has as this attribute; empty where it has none."""
    return [str(element.get(attribute, "")) for element in select(page, selector)]
