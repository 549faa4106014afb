"""Which addresses belong to the admin."""

from functools import cache

from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme


def is_admin(path: str) -> bool:
    return path.startswith(_index())


def page_or_index(address: str) -> str:
    """Return the address if it is a page of the admin, and the overview's otherwise.

    Use it for an address that a request names: it never leads to another site.
    """
    return address if url_has_allowed_host_and_scheme(address, None) and is_admin(address) else _index()


def previous_page(request: HttpRequest) -> str:
    """Return the page of the admin from which staff came to this one, for Cancel; the overview if nobody knows.

    A form that is shown again passes it on as `from`. Pages that only lead here are left out.
    """
    # Not by urlsplit, which raises ValueError for what no browser sends.
    host, _slash, path = request.headers.get("Referer", "").partition("://")[2].partition("/")
    address = request.POST.get("from") or (f"/{path}" if host == request.get_host() else "")
    only_lead_here = (request.path, reverse("admin:confirm"), reverse("admin:login"))
    return _index() if address.startswith(only_lead_here) else page_or_index(address)


@cache  # Every request asks for it.
def _index() -> str:
    return reverse("admin:index")
