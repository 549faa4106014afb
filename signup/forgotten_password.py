"""The pages on which staff who have forgotten their password get a link by email, where there is a mail server.

The pages don't tell whether somebody has an address. A second factor is still asked for at the login.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import views
from django.contrib.auth.forms import PasswordResetForm, SetPasswordForm
from django.contrib.auth.models import User
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponseBase
from django.urls import path

from provisioning.admin_site import is_from_identity_provider
from signup import abuse, mails, visitors, visits

log = logging.getLogger(__name__)

MOST = {"user": ("hour", 3), "network": ("day", 20)}
"""Links for one user within an hour, and requests from one network within a day.

A link works for an hour, so a stranger who asks for a user's links can't keep that user out.
"""


class ForgottenForm(PasswordResetForm):
    def get_users(self, email: str) -> Iterator[User]:
        """Yield staff with this address who log in with a password."""
        return (user for user in super().get_users(email) if user.is_staff and not is_from_identity_provider(user))

    def save(self, *, request: HttpRequest, **options: Any) -> None:  # type: ignore[override]  # always by keyword
        if _count("network", visitors.network(request)):
            super().save(request=request, domain_override=urlsplit(mails.origin(request)).netloc, **options)

    def send_mail(
        self,
        subject_template_name: str,
        email_template_name: str,
        context: dict[str, Any],
        from_email: str | None,
        to_email: str,
        html_email_template_name: str | None = None,
    ) -> None:
        """Send the email without making the visitor wait: how long it takes would tell that there is such a user."""
        user = str(context["user"].pk)
        if _count("user", user):
            log.info("link for a new password requested user=%s", user)
            send = partial(super().send_mail, subject_template_name, email_template_name, context, from_email, to_email)
            Thread(target=send).start()


class NewPasswordForm(SetPasswordForm):  # type: ignore[type-arg]  # generic in the stubs only
    def save(self, commit: bool = True) -> User:
        user: User = super().save(commit)
        log.info("staff set a new password by email user=%s", user.pk)
        return user


def _count(kind: str, source: str) -> bool:
    """Count a request. Returns False if there were too many."""
    key, request = abuse.key(f"forgotten.{kind}", source), uuid.uuid4()
    period, most = MOST[kind]
    with transaction.atomic():
        visits.lock([key])
        if getattr(visits.earlier(request, [key])[key], period) >= most:
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
