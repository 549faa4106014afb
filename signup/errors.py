"""What a visitor sees when a request fails, also when it fails because nothing in it can be read."""

from functools import partial

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render


def _page(status: int, request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    request.POST = QueryDict()  # Reading the body again would fail again, and leave the visitor with no page at all.
    return render(request, f"{status}.html", status=status)


bad_request, forbidden, not_found, server_error = (partial(_page, status) for status in (400, 403, 404, 500))
