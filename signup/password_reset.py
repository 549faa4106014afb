"""Django's password reset for staff, in the frame of the admin. It exists only if there is a mail server.

The pages never reveal whether an address belongs to a user. Two-factor authentication is still required at login.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from random import uniform
from threading import Timer
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import views
from django.contrib.auth.forms import PasswordResetForm, SetPasswordForm
from django.contrib.auth.models import User
from django.contrib.auth.views import INTERNAL_RESET_SESSION_TOKEN
from django.core.mail import EmailMessage
from django.db import connection, transaction
from django.db.models.functions import Now
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.template.loader import render_to_string
from django.urls import path
from django.utils import timezone

from provisioning.admin_site import is_from_identity_provider, is_known_browser, remember_browser
from signup import abuse, emails, visitors, visits
from signup.emails.server import NotTaken, describe_error, hand_over
from signup.visits import Visit

log = logging.getLogger(__name__)

WAITS = (timedelta(), timedelta(minutes=5), timedelta(hours=1), timedelta(hours=4))
"""How long after the last link a user gets another one: after none, one, two, and more within a day.

A link works for longer than the longest wait (PASSWORD_RESET_TIMEOUT). So whoever asks, and however often, the user's
mailbox has a link that works, and few emails. A browser in which the user has logged in before has links of its own,
so that it need not wait for a stranger's.
"""
MAX_REQUESTS = (20, 60)
"""Requests from one network within an hour and within a day."""
MAX_REQUESTS_OF_AREA = (60, 180)
"""The same for an IPv4 /24 or an IPv6 /48."""
DELAY = (1.0, 3.0)
"""The range of seconds after which users are looked up: a lookup before the response would slow it down."""


class StaffPasswordResetForm(PasswordResetForm):
    def get_users(self, email: str) -> Iterator[User]:
        """Yield staff with this address who log in with a password."""
        return (user for user in super().get_users(email) if user.is_staff and not is_from_identity_provider(user))

    def save(self, *, request: HttpRequest, **options: Any) -> None:  # type: ignore[override]  # always by keyword
        """Email the users later, on a thread: how long the response takes would reveal whether there are any."""
        self.is_known = partial(is_known_browser, request)
        own_host = urlsplit(emails.origin(request)).netloc
        Timer(
            uniform(*DELAY),  # noqa: S311  # Not for a key.
            partial(self._save, request=request, domain_override=own_host, **options),
        ).start()

    def _save(self, **options: Any) -> None:
        try:
            super().save(**options)
        except Exception as error:
            log.warning("password reset links not sent error=%s", type(error).__name__)
        finally:
            connection.close()

    def send_mail(
        self,
        subject_template_name: str,
        email_template_name: str,
        context: dict[str, Any],
        from_email: str | None,
        to_email: str,
        html_email_template_name: str | None = None,
    ) -> None:
        user: User = context["user"]
        key = _limit_key(user, self.is_known(user.get_username()))

        def write() -> EmailMessage:
            subject = "".join(render_to_string(subject_template_name, context).splitlines())
            return EmailMessage(subject, render_to_string(email_template_name, context), from_email, [to_email])

        if visit := _count_link(key):
            log.info("password reset link requested user=%s", user.pk)
            try:
                hand_over(write)
            except Exception as error:
                if isinstance(error, NotTaken):
                    Visit.objects.filter(key=key, submission=visit).delete()
                log.warning("password reset link not sent user=%s error=%s", user.pk, describe_error(error))


class StaffSetPasswordForm(SetPasswordForm):  # type: ignore[type-arg]  # generic in the stubs only
    def save(self, commit: bool = True) -> User:
        user: User = super().save(commit)
        log.info("staff reset their password user=%s", user.pk)
        return user


class StaffPasswordResetView(views.PasswordResetView):
    form_class = StaffPasswordResetForm

    def form_valid(self, form: Any) -> HttpResponse:
        """Count the request first. A refusal tells nothing about the address."""
        network = abuse.key("password_reset.network", visitors.network(self.request))
        area = abuse.key("password_reset.area", visitors.area(self.request))
        if visits.add_within(network, *MAX_REQUESTS) and visits.add_within(area, *MAX_REQUESTS_OF_AREA):
            return super().form_valid(form)
        form.add_error("email", "There have been too many requests from your network. Please try again later.")
        return self.render_to_response(self.get_context_data(form=form), status=429)


class StaffPasswordResetConfirmView(views.PasswordResetConfirmView):
    form_class = StaffSetPasswordForm

    def dispatch(self, request: HttpRequest, *args: Any, **captured: Any) -> HttpResponseBase:
        """Take the token from the link's query. Django has it in the path, which web servers and proxies log."""
        token = request.GET.get("token", self.reset_url_token)
        return super().dispatch(request, *args, **captured, token=token)

    @transaction.atomic
    def form_valid(self, form: Any) -> HttpResponse:
        """Set the password, unless the link was used at the same moment: it works once.

        Remember this browser: its user has read the email, so a stranger's failed logins must not lock them out.
        """
        form.user = User.objects.select_for_update().get(pk=form.user.pk)
        if not self.token_generator.check_token(form.user, self.request.session.get(INTERNAL_RESET_SESSION_TOKEN)):
            self.validlink = False
            return self.render_to_response(self.get_context_data())
        response = super().form_valid(form)
        remember_browser(response, form.user)
        return response


def _limit_key(user: User, is_known_browser: bool) -> str:
    """Return the key that a user's links count under. It changes whenever earlier links become invalid."""
    links = (user.pk, user.password, user.last_login, user.email)
    return abuse.key("password_reset.known" if is_known_browser else "password_reset", repr(links))


def _count_link(key: str) -> UUID | None:
    """Count a link, and return its visit; None if the user must wait before getting another one."""
    with transaction.atomic():
        visits.lock([key])
        sent = Visit.objects.filter(key=key, at__gt=Now() - timedelta(days=1)).values_list("at", flat=True)
        if sent and timezone.now() - max(sent) < WAITS[min(len(sent), len(WAITS) - 1)]:
            return None
        visits.add(visit := uuid4(), [key])
    return visit


def _admin_page(view: type[Any]) -> Callable[..., HttpResponseBase]:
    """Return a class-based view in the frame of the admin. Without a mail server, the page doesn't exist."""

    def show(request: HttpRequest, **arguments: str) -> HttpResponseBase:
        if not settings.EMAIL_URL:
            raise Http404
        context = admin.site.each_context(request)
        response: HttpResponseBase = view.as_view(extra_context=context)(request, **arguments)
        return response

    return show


urlpatterns = [
    path("", _admin_page(StaffPasswordResetView), name="admin_password_reset"),
    path("sent/", _admin_page(views.PasswordResetDoneView), name="password_reset_done"),
    path("done/", _admin_page(views.PasswordResetCompleteView), name="password_reset_complete"),
    path("<uidb64>/", _admin_page(StaffPasswordResetConfirmView), name="password_reset_confirm"),
]
