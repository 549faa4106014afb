"""The way into the API: which key may do what, and how often. Every exception becomes a problem document."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from urllib.parse import quote

from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import SuspiciousOperation
from django.core.signals import got_request_exception
from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from provisioning.database import UNAVAILABLE, describe
from signup import abuse, errors, visits
from signup.api import keys, problems
from signup.api.models import ApiKey, Scope
from signup.api.problems import Problem

log = logging.getLogger(__name__)

Handler = Callable[..., HttpResponse]
"""What answers a request: called with the request, its key, and what the URL captures."""
REQUESTS_A_MINUTE = 600
"""How many requests a key may send within a minute."""
BATCH = 10
"""How many of them a process of the web server draws at a time. Those that it doesn't use are lost."""
MINUTE = 60


def endpoint(methods: Mapping[str, tuple[Scope, Handler]]) -> Callable[..., HttpResponse]:
    """Return a view that answers each method with its handler, for keys with its scope."""
    handlers = {**methods, "HEAD": methods["GET"]} if "GET" in methods else dict(methods)

    @csrf_exempt
    def view(request: HttpRequest, **captured: object) -> HttpResponse:
        return _handle_errors(request, lambda: _answer(request, handlers, captured))

    return view


def public(handler: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    """Return a view that answers GET to everybody."""

    @csrf_exempt
    def view(request: HttpRequest, **captured: object) -> HttpResponse:
        def answer() -> HttpResponse:
            _require_method(request, {"GET", "HEAD"})
            return handler(request)

        return _handle_errors(request, answer)

    return view


@csrf_exempt
def not_found(request: HttpRequest, **captured: object) -> HttpResponse:
    return Problem("not_found").response()


def _handle_errors(request: HttpRequest, answer: Callable[[], HttpResponse]) -> HttpResponse:
    try:
        return answer()
    except Problem as problem:
        return problem.response()
    except SuspiciousOperation as error:  # Like a query with thousands of parameters.
        log.warning("api request refused error=%s path=%s", type(error).__name__, quote(request.path))
        return problems.error_response(400)
    except UNAVAILABLE as error:
        log.warning("api request failed problem=%r", describe(error))
        return problems.error_response(503, errors.RETRY_AFTER)
    except Exception:
        got_request_exception.send(sender=None, request=request)
        log.exception("api request failed path=%s", quote(request.path), extra={"request": request})
        return problems.error_response(500)


def _answer(
    request: HttpRequest, handlers: Mapping[str, tuple[Scope, Handler]], captured: Mapping[str, object]
) -> HttpResponse:
    _require_method(request, handlers)
    scope, handler = handlers[request.method or ""]
    key = _key(request)
    if not keys.allows(key, request):
        raise Problem("network")
    if scope not in key.scopes:
        raise Problem("scope", headers=_challenge(f'error="insufficient_scope", scope="{scope}"'), scope=scope)
    _count(key)
    keys.note_use(key)
    response = handler(request, key, **captured)
    log.info("api request key=%s method=%s path=%s", key.prefix, request.method, quote(request.path))
    return response


def _require_method(request: HttpRequest, allowed: Mapping[str, object] | set[str]) -> None:
    if settings.SECURE_SSL_REDIRECT and not request.is_secure():
        raise Problem("https_required")
    if request.method not in allowed:
        raise Problem("method", headers={"Allow": ", ".join(sorted(allowed))})


def _key(request: HttpRequest) -> ApiKey:
    """Return the key that the request came with. Raises Problem."""
    kind, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise Problem("unauthorized", headers=_challenge())
    if key := keys.find(token.strip()):
        return key
    log.warning("api key refused path=%s", quote(request.path))
    raise Problem("unauthorized", headers=_challenge('error="invalid_token"'))


def _challenge(more: str = "") -> dict[str, str]:
    """Return the header of RFC 6750, section 3."""
    return {"WWW-Authenticate": ", ".join(filter(None, ('Bearer realm="api"', more)))}


def _count(key: ApiKey) -> None:
    """Count a request against the limit of its key. Raises Problem for one too many within this minute."""
    if not settings.ABUSE_PROTECTION:
        return
    now = time.time()
    minute = f"{key.pk}.{int(now // MINUTE)}"
    if cache.get(f"api.over.{minute}") or not _take(minute):
        cache.set(f"api.over.{minute}", True, 2 * MINUTE)
        raise Problem("limit", headers={"Retry-After": str(MINUTE - int(now % MINUTE))})


def _take(minute: str) -> bool:
    """Take one of the requests that a key may send within a minute. Return whether any was left.

    Each process draws `BATCH` of them at a time from those of all processes, so that few requests write.
    """
    number = _increased(f"api.{minute}")
    if number > REQUESTS_A_MINUTE:
        return False
    if (number - 1) % BATCH:
        return True
    batches = REQUESTS_A_MINUTE // BATCH
    try:
        return visits.add_within(abuse.key("requests", minute), batches, batches)
    except Error:  # Reading works even if nothing can be written.
        return True


def _increased(counter: str) -> int:
    cache.add(counter, 0, 2 * MINUTE)
    try:
        return cache.incr(counter)
    except ValueError:  # The cache has just dropped it.
        return 1
