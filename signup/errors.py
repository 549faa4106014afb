"""The error pages, which also work for a request that can't be parsed. The API gets problem documents instead."""

import logging
import sys
from functools import partial
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render

from provisioning.database import UNAVAILABLE
from signup.api import problems

log = logging.getLogger(__name__)

RETRY_AFTER = 30
"""Seconds."""


def _page(status: int, request: HttpRequest, exception: Exception | None = None, reason: str = "") -> HttpResponse:
    if problems.is_api(request):
        return problems.error_response(status)
    request.POST = QueryDict()  # Reading a broken body again would fail again, and the visitor would get no page.
    return render(request, f"{status}.html", {"reason": reason}, status=status)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Show the text of a PermissionDenied. One without a text means that the role doesn't include the page."""
    log.warning("staff refused user=%s path=%s", request.user.pk, quote(request.path))
    return _page(403, request, reason=str(exception or ""))


def server_error(request: HttpRequest) -> HttpResponse:
    """Show the error page: 503 with a Retry-After header if the database is unavailable, 500 otherwise."""
    is_database = isinstance(sys.exc_info()[1], UNAVAILABLE)
    page = problems.error_response(503) if is_database and problems.is_api(request) else _page(500, request)
    if is_database:
        page.status_code = 503
        page.headers["Retry-After"] = str(RETRY_AFTER)
    return page


bad_request, not_found = (partial(_page, status) for status in (400, 404))
