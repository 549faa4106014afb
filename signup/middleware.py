"""Middleware for what Django has no setting for."""

import re
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

from csp.constants import HEADER
from csp.middleware import CheckableLazyObject, CSPMiddleware, PolicyParts
from csp.utils import build_policy
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.http.response import HttpResponseBase
from django.middleware.common import CommonMiddleware
from django.middleware.locale import LocaleMiddleware
from django.utils import translation
from django.utils.functional import cached_property

from provisioning.admin_site import is_admin
from signup import errors, visitors
from signup.single_sign_on.pre_login import PreLoginSession

MAX_HOST_LENGTH = 190
"""The longest `Host`, in characters. No partner's page has a longer name, and a made-up one must fit the columns."""
MAX_BACKSLASHES = 500
"""In all of a request's cookies. Ours have none, and others escape a few characters at most."""
CHUNK, MAX_LEFT = 64 * 1024, 10 * 1024 * 1024
"""Bytes of a body: how many are read at a time, and at most. No documented proxy keeps more for us."""
PERMISSIONS_POLICY = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer",
        "browsing-topics",
        "camera",
        "display-capture",
        "geolocation",
        "gyroscope",
        "hid",
        "magnetometer",
        "microphone",
        "midi",
        "payment",
        "serial",
        "usb",
        "xr-spatial-tracking",
    )
)
"""The features of a visitor's device that no page may use (https://www.w3.org/TR/permissions-policy/)."""


class AllowedHostsMiddleware(CommonMiddleware):
    """Answers only to ALLOWED_HOSTS, except for probes: load balancers and kubelets ask by a bare address."""

    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        is_probe = re.match(settings.PROBES, request.path_info.lstrip("/"))
        return None if is_probe else super().process_request(request)


class CustomersLanguageMiddleware(LocaleMiddleware):
    """Customers read the language of their browser, or the one they chose; the admin is in English."""

    def process_request(self, request: HttpRequest) -> None:
        if is_admin(request.path_info):
            translation.activate(settings.LANGUAGE_CODE)
        else:
            _drop_unwanted_languages(request)
            super().process_request(request)


def _drop_unwanted_languages(request: HttpRequest) -> None:
    """Drop languages that the browser refuses (`fr;q=0`, RFC 9110, section 12.4.2). Django would offer them."""
    wanted = request.META.get("HTTP_ACCEPT_LANGUAGE", "").split(",")
    refused = re.compile(r";\s*q\s*=\s*0(\.0*)?\s*$", re.IGNORECASE)
    request.META["HTTP_ACCEPT_LANGUAGE"] = ",".join(each.strip() for each in wanted if not refused.search(each))


class ContentSecurityPolicyMiddleware(CSPMiddleware):
    """Builds the policy of responses without a nonce only once: redirects and the states that waiting pages ask for.

    A view that sets its own policy, like that of logos, keeps it.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        has_own = HEADER in response or self.get_policy_parts(request, response) != PolicyParts()
        if settings.DEBUG or has_own:
            return super().process_response(request, response)
        response.headers[HEADER] = self.policy
        request.csp_nonce = CheckableLazyObject(self._csp_nonce_post_response)  # type: ignore[attr-defined]
        return response

    @cached_property
    def policy(self) -> str:
        return build_policy()


def add_policies(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Add headers that restrict what browsers may do with our pages, and keep pages out of caches.

    A response that names its own caching, like a logo, keeps it.
    """

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers["Permissions-Policy"] = PERMISSIONS_POLICY
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"  # No other site may embed our pages.
        response.setdefault("Cache-Control", "no-store")  # Error pages, too, have the visitor's CSRF token.
        return response

    return answer


def refuse_malformed(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Answer 400 to NUL characters and overlong host names: no browser sends them, and PostgreSQL refuses them.

    The same goes for cookies full of backslashes, which Python took very long to read before 3.12.6 (CVE-2024-7592).
    """

    def answer(request: HttpRequest) -> HttpResponse:
        if request.META.get("HTTP_COOKIE", "").count("\\") > MAX_BACKSLASHES:
            del request.META["HTTP_COOKIE"]  # The error page must not read it either.
            return errors.bad_request(request)
        texts = (request.path_info, *request.COOKIES.values())
        has_nul = "%00" in request.META.get("QUERY_STRING", "") or any("\0" in text for text in texts)
        if has_nul or len(request.META.get("HTTP_HOST", "")) > MAX_HOST_LENGTH:
            return errors.bad_request(request)
        return get_response(request)

    return answer


def read_to_the_end(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Read what is left of a request's body, like that of one which was refused unread.

    Otherwise, gunicorn closes the connection a moment after its answer. The proxy, which wasn't told, loses the form
    that it sends on it next, which is another visitor's.
    """

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        # Django reads no body without a Content-Length, but gunicorn knows where that of a chunked one ends.
        if request.META.get("wsgi.input_terminated") and visitors.is_trusted(visitors.peer(request)):
            with suppress(Exception):  # It breaks off, or is malformed.
                _read(request.META["wsgi.input"])
        return response

    return answer


def _read(body: BinaryIO) -> None:
    for _ in range(MAX_LEFT // CHUNK):
        if not body.read(CHUNK):
            return


def trust_proxies_only(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Ignore SECURE_PROXY_SSL_HEADER, which says that a visitor came by HTTPS, unless a trusted proxy set it."""

    def answer(request: HttpRequest) -> HttpResponse:
        if not visitors.is_trusted(visitors.peer(request)):
            request.META.pop("HTTP_X_FORWARDED_PROTO", None)
        return get_response(request)

    return answer


def save_pre_login_session(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Set the cookie of visitors who haven't logged in yet."""

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        PreLoginSession.of(request).set_cookie(response)
        return response

    return answer
