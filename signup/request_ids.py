"""An ID for each request, in every line that the log has about it, and in the response.

A trusted proxy may give it (X-Request-ID), so that its own log can be joined.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from uuid import uuid4

from django.http import HttpRequest, HttpResponse

from signup import visitors
from signup.logs import request_id

HEADER = "X-Request-ID"


def add_request_id(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    def answer(request: HttpRequest) -> HttpResponse:
        given = request.headers.get(HEADER, "") if visitors.is_trusted(visitors.peer(request)) else ""
        token = request_id.set(given if re.fullmatch(r"[\w.-]{1,64}", given, re.ASCII) else uuid4().hex)
        try:
            response = get_response(request)
            response.headers[HEADER] = request_id.get()
            return response
        finally:
            request_id.reset(token)

    return answer
