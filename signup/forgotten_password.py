"""The pages on which staff who have forgotten their password get a link by email, where there is a mail server.

The pages don't tell whether somebody has an address. A second factor is still asked for at the login.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from random import uniform
from threading import Timer
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import views
from django.contrib.auth.forms import PasswordResetForm, SetPasswordForm
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.http import Http404, HttpRequest, HttpResponseBase
from django.urls import path

from provisioning import rules
from provisioning.admin_site import is_from_identity_provider, is_known
from signup import abuse, mails, visitors, visits

log = logging.getLogger(__name__)

MOST = {"mailbox": (3, 6), "network": (20, 20)}
"""Links for one mailbox, and requests from one network, within an hour and within a day.

A stranger can use up a mailbox's links, so a browser in which the user has logged in before has links of its own. A
link works for an hour.
"""


LATER = (1.0, 3.0)
"""Seconds after which users are looked for: at the same time, it would slow the response down."""


class ForgottenForm(PasswordResetForm):
    def get_users(self, email: str) -> Iterator[User]:
        """Yield staff with this address who log in with a password."""
        return (user for user in super().get_users(email) if user.is_staff and not is_from_identity_provider(user))

    def save(self, *, request: HttpRequest, **options: Any) -> None:  # type: ignore[override]  # always by keyword
        """Look for users and email them without making the visitor wait, which would tell whether there is one."""
        self.is_known = partial(is_known, request)
        if _count("network", visitors.network(request)):
            own_host = urlsplit(mails.origin(request)).netloc
            Timer(
                uniform(*LATER),  # noqa: S311  # Not for a key.
                partial(self._save, request=request, domain_override=own_host, **options),
            ).start()

    def _save(self, **options: Any) -> None:
        try:
            super().save(**options)
        except Exception as error:
            log.warning("link for a new password not sent error=%s", type(error).__name__)
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
        user = context["user"]
        known = "known " if self.is_known(user.get_username()) else ""
        if _count("mailbox", known + rules.mailbox(to_email)):
            log.info("link for a new password requested user=%s", user.pk)
            super().send_mail(subject_template_name, email_template_name, context, from_email, to_email)


class NewPasswordForm(SetPasswordForm):  # type: ignore[type-arg]  # generic in the stubs only
    def save(self, commit: bool = True) -> User:
        user: User = super().save(commit)
        log.info("staff set a new password by email user=%s", user.pk)
        return user


def _count(kind: str, source: str) -> bool:
    """Count a request. Returns False if there were too many."""
    key, request = abuse.key(f"forgotten.{kind}", source), uuid.uuid4()
    an_hour, a_day = MOST[kind]
    with transaction.atomic():
        visits.lock([key])
        earlier = visits.earlier(request, [key])[key]
        if earlier.hour >= an_hour or earlier.day >= a_day:
            return False
        visits.add(request, [key])
    return True


def _page(view: type[Any], **options: Any) -> Callable[..., HttpResponseBase]:
    """Return a view in the frame of the admin, which doesn't exist without a mail server."""

    def show(request: HttpRequest, **arguments: str) -> HttpResponseBase:
        if not settings.EMAIL_URL:
            raise Http404
        context = admin.site.each_context(request)
        response: HttpResponseBase = view.as_view(extra_context=context, **options)(request, **arguments)
        return response

    return show


urlpatterns = [
    path("", _page(views.PasswordResetView, form_class=ForgottenForm), name="admin_password_reset"),
    path("sent/", _page(views.PasswordResetDoneView), name="password_reset_done"),
    path("done/", _page(views.PasswordResetCompleteView), name="password_reset_complete"),
    path(
        "<uidb64>/<token>/",
        _page(views.PasswordResetConfirmView, form_class=NewPasswordForm),
        name="password_reset_confirm",
    ),
]
