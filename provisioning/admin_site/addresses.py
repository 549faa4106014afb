"""Which addresses belong to the admin."""

from functools import cache

from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme


def is_admin(path: str) -> bool:
    return path.startswith(_index())


def page_or_index(address: str) -> str:
    """Return the address if it is a page of the admin, and the overview's otherwise.

    Use it for an address that a request names: it never leads to another site.
    """
    return address if url_has_allowed_host_and_scheme(address, None) and is_admin(address) else _index()


@cache  # Every request asks for it.
def _index() -> str:
    return reverse("admin:index")
