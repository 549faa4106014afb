"""What a visitor sees when a request fails, also when it fails because nothing in it can be read."""

import logging
from functools import partial
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render

log = logging.getLogger(__name__)


class Brief(logging.Filter):
    """Leaves out tracebacks of bad requests: they aren't our faults, and anybody could fill the log with them."""

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "status_code", 500) < 500:
            record.exc_info = None
        return True


def _page(status: int, request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    request.POST = QueryDict()  # Reading the body again would fail again, and leave the visitor with no page at all.
    return render(request, f"{status}.html", status=status)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    log.warning("staff refused user=%s path=%s", request.user.pk, quote(request.path))
    return _page(403, request)


bad_request, not_found, server_error = (partial(_page, status) for status in (400, 404, 500))
