"""Staff's sessions: how long they last, where staff are logged in, and when they must confirm that it's them.

A session ends STAFF_SESSION_HOURS after the login, or STAFF_IDLE_MINUTES after the last page of the admin, whichever
comes first. Django stores the end with the session, and only this module changes it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from axes.helpers import get_client_ip_address
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth import logout
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.timezone import now

from provisioning.admin_site.addresses import is_admin
from provisioning.admin_site.identity import has_second_factor, is_from_identity_provider
from provisioning.audit import name_of
from provisioning.models import StaffSession

log = logging.getLogger(__name__)

SINCE, SEEN, AUTHENTICATED = "staff.since", "staff.seen", "staff.proven"
"""Session keys: when staff logged in, were last seen, and last authenticated."""
BACKGROUND = "X-Background"
"""A header of requests that a page makes automatically."""
REAUTHENTICATE_AFTER = timedelta(minutes=10)
"""How long after a login or a confirmation staff are not asked to confirm that it's them."""
NOTICED_AFTER = timedelta(minutes=1)
"""Requests within this time of the last update don't update when the session was last seen."""


def record_login(sender: Any, request: HttpRequest, user: User, **signal: Any) -> None:
    """Record the time of a login, set when the session ends, and list it: even one that opens no page can be ended."""
    log.info("staff logged in user=%s by=%s", user.pk, _method_of(user))
    request.session[SINCE] = now().timestamp()
    request.session.pop(SEEN, None)
    request.session.pop(AUTHENTICATED, None)
    request.session.set_expiry(_end(request))
    if not is_from_identity_provider(user):
        record_authentication(request)
    if not request.session.session_key:  # Another user was logged in before.
        request.session.create()
    _list(request, user)


def time_of_login(request: HttpRequest) -> datetime:
    return _time(request, SINCE)


def record_authentication(request: HttpRequest, at: float | None = None) -> None:
    """Record that the user authenticated, now or `at` an earlier time (seconds since the epoch)."""
    request.session[AUTHENTICATED] = min(now().timestamp(), at or float("inf"))


def record_reauthentication(request: HttpRequest) -> None:
    """Record that the user authenticated again, under a new session key: it locks out anyone who knew the old one."""
    log.info("staff reauthenticated user=%s", request.user.pk)
    request.session.cycle_key()
    record_authentication(request)
    _note_seen(request)


def record_logout(sender: Any, request: HttpRequest, user: User | None, **signal: Any) -> None:
    if user:
        log.info("staff logged out user=%s", user.pk)


def enforce_limits(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: log staff out when their session is over, and make them set up a required second factor."""

    def answer(request: HttpRequest) -> HttpResponse:
        if is_admin(request.path_info) and request.user.is_authenticated:
            if not _is_valid(request):
                logout(request)
            elif request.path_info not in _without_second_factor() and _lacks_second_factor(request.user):
                messages.warning(request, "Set up two-factor authentication to continue. It is required here.")
                return redirect("admin:two_factor")
        return get_response(request)

    return answer


def has_authenticated_lately(request: HttpRequest) -> bool:
    return _time(request, AUTHENTICATED) + REAUTHENTICATE_AFTER > now()


def ask_to_reauthenticate(request: HttpRequest, back: str = "") -> HttpResponse | None:
    """Return a redirect to the page where staff confirm that it's them; None if they did so lately.

    A submitted form is lost. Afterward, they come `back`: by default, to the page of the request.
    """
    if has_authenticated_lately(request):
        return None
    if request.method == "POST":
        messages.warning(request, "Nothing was done yet. Confirm it's you, then press the button again.")
    return redirect(f"{reverse('admin:confirm')}?{urlencode({'next': back or request.get_full_path()})}")


def end_other_sessions(request: HttpRequest) -> None:
    """End all of the user's sessions except this one."""
    others = StaffSession.objects.filter(user=request.user.pk).exclude(session=request.session.session_key)
    Session.objects.filter(staff_session__in=others).delete()


def own_sessions(request: HttpRequest) -> HttpResponse:
    asked = ask_to_reauthenticate(request) if request.method == "POST" else None
    return asked or show_sessions(request, request.user)  # type: ignore[arg-type]  # nobody comes here anonymously


def show_sessions(request: HttpRequest, user: User) -> HttpResponse:
    """Show where this user is logged in, and end one session or all.

    The caller checks permissions, and calls `ask_to_reauthenticate`.
    """
    listed = StaffSession.objects.filter(user=user, session__expire_date__gt=now()).order_by("-seen_at")
    own = user == request.user
    if request.method == "POST":
        which = request.POST.get("session", "")
        key = which if which.isdecimal() and len(which) < 19 else 0
        chosen = listed if which == "all" else [get_object_or_404(listed, pk=key)]
        ends_here = any(each.session_id == request.session.session_key for each in chosen)
        for each in chosen:
            each.session.delete()
        if ends_here:
            logout(request)
            return redirect("admin:login")
        messages.success(request, "The session was ended." if which != "all" else "All sessions were ended.")
        return redirect(request.path)
    context = {
        "title": "Your sessions" if own else f"Sessions of {name_of(user)}",
        "name": name_of(user),
        "opts": User._meta,
        "original": user,
        "sessions": listed,
        "own": own,
        "this": request.session.session_key,
        "hours": settings.STAFF_SESSION_HOURS,
        "idle": settings.STAFF_IDLE_MINUTES,
    }
    return TemplateResponse(request, "admin/sessions.html", admin.site.each_context(request) | context)


def _is_valid(request: HttpRequest) -> bool:
    """Whether the session is still valid. If so, record when it was seen."""
    if SINCE not in request.session or _end(request) <= now():
        return False
    if _is_background(request):
        return True
    idle = timedelta(minutes=settings.STAFF_IDLE_MINUTES)
    if _time(request, SEEN) + min(NOTICED_AFTER, idle / 4) > now():
        return True
    return _note_seen(request)


def _is_background(request: HttpRequest) -> bool:
    """Whether the page made this request automatically, which doesn't count as activity.

    If it comes from another network or browser than the last activity did, it counts: otherwise, a thief could stay out
    of the list of sessions.
    """
    if request.method != "GET" or BACKGROUND not in request.headers:
        return False
    return StaffSession.objects.filter(session=request.session.session_key, **_source(request)).exists()


def _source(request: HttpRequest) -> dict[str, str]:
    return {
        "network": get_client_ip_address(request) or "",
        "browser": request.headers.get("User-Agent", "").replace("\0", "")[:255],
    }


def _note_seen(request: HttpRequest) -> bool:
    """Record that the session was seen. Returns False if it was ended at the same moment."""
    request.session[SEEN] = now().timestamp()
    request.session.set_expiry(_end(request))
    return _list(request, request.user)


def _list(request: HttpRequest, user: Any) -> bool:
    """Show the session in the list of the user's sessions. Returns False if it was ended at the same moment."""
    seen = {"seen_at": now(), **_source(request)}
    try:
        with transaction.atomic():
            StaffSession.objects.update_or_create(
                session_id=request.session.session_key,
                defaults=seen,
                create_defaults=seen | {"user": user, "started_at": _time(request, SINCE)},
            )
    except IntegrityError:
        return False
    return True


def _end(request: HttpRequest) -> datetime:
    """Return when the session ends if no further page is requested."""
    since = _time(request, SINCE)
    seen = max(since, _time(request, SEEN))
    return min(
        since + timedelta(hours=settings.STAFF_SESSION_HOURS), seen + timedelta(minutes=settings.STAFF_IDLE_MINUTES)
    )


def _method_of(user: User) -> str:
    if is_from_identity_provider(user):
        return "identity provider"
    return "password and code" if has_second_factor(user) else "password"


def _time(request: HttpRequest, key: str) -> datetime:
    return datetime.fromtimestamp(request.session.get(key, 0), UTC)


def _without_second_factor() -> set[str]:
    """Return the pages that staff need while they set up a second factor."""
    names = ("login", "logout", "two_factor", "confirm", "jsi18n", "password_change", "password_change_done")
    return {reverse(f"admin:{name}") for name in names}


def _lacks_second_factor(user: Any) -> bool:
    """Whether a required second factor is missing. The identity provider decides for its own users."""
    required = settings.STAFF_TWO_FACTOR == "required"
    return required and user.is_staff and not is_from_identity_provider(user) and not has_second_factor(user)
