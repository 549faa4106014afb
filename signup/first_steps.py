"""The five steps to a live sign-up page: each knows from the data whether it is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.urls import reverse

from provisioning import gateway
from provisioning.admin_site.steps import Step
from provisioning.models import Account, Attempt, ListPass
from signup.brand.models import Brand, brand_at
from signup.emails.models import SentMail
from signup.emails.sending import failing

CREDENTIALS = ("CONSTANT_CONTACT_API_KEY", "CONSTANT_CONTACT_USERNAME", "CONSTANT_CONTACT_PASSWORD")
LOGGED_IN = (Attempt.Outcome.CREATED, *Attempt.REFUSALS)
"""Outcomes that only calls with accepted credentials have."""


def steps(**kwargs: Any) -> list[Step]:
    return [step() for step in STEPS]


def _brand() -> Step:
    page = reverse("admin:signup_brand_changelist")
    if settings.BRAND_NAME or Brand.objects.exists():
        return Step("Your brand", True, f"Customers see {brand_at('').name or 'your brand'}.", page)
    text = "Add your name, logo, and color. Until then, the page shows no brand."
    return Step("Your brand", False, text, reverse("admin:signup_brand_add"))


def _credentials() -> Step:
    page, name = reverse("admin:health"), "Credentials"
    if missing := [setting for setting in CREDENTIALS if not getattr(settings, setting)]:
        text = f"Not set yet: {', '.join(missing)}. Ask whoever runs this installation to set them."
        return Step(name, False, text, page)
    pause = gateway.current_pause()
    were_accepted = (
        Attempt.objects.filter(outcome__in=LOGGED_IN).exists() or ListPass.objects.filter(pages__gt=0).exists()
    )
    if were_accepted and not (pause and pause.until is None):
        return Step(name, True, "Constant Contact accepts them.", page)
    if pause:
        return Step(name, False, "They are set, but calls don't get through. The banner above says why.", page)
    return Step(name, False, "They are set. The first call will show whether Constant Contact accepts them.", page)


def _test() -> Step:
    name, accounts = "A test sign-up", reverse("admin:provisioning_account_changelist")
    if Account.objects.filter(state=Account.State.CREATED).exists():
        return Step(name, True, "Constant Contact has created an account.", accounts)
    if Account.objects.exists():
        text = "Somebody has signed up, but no account has been created yet. Open the sign-up to see why."
        return Step(name, False, text, accounts)
    return Step(name, False, "Fill out the form as a customer would, and watch the account arrive.", reverse("sign_up"))


def _email() -> Step:
    name, page = "Email", reverse("admin:signup_mail_changelist")
    if not settings.EMAIL_URL:
        text = "Customers who close the page hear nothing. Ask whoever runs this installation to set EMAIL_URL."
        return Step(name, False, text, reverse("admin:health"))
    if SentMail.objects.filter(problem="").exists():
        return Step(name, True, "Your mail server accepts emails to customers.", page)
    if unsent := failing().last():
        return Step(name, False, f"The mail server has not taken the last email yet: {unsent.problem}.", page)
    if failed := SentMail.objects.last():
        return Step(name, False, f"The last email may not have been sent: {failed.problem}.", page)
    return Step(name, True, "A mail server is set. No email has been needed yet.", page)


def _team() -> Step:
    page = reverse("admin:auth_user_changelist")
    if (size := User.objects.filter(is_active=True, is_staff=True).count()) > 1:
        return Step("Your team", True, f"{size} people can log in.", page)
    text = "Only you can log in. Add your colleagues, and give each of them a role."
    return Step("Your team", False, text, reverse("admin:auth_user_add"))


STEPS: tuple[Callable[[], Step], ...] = (_brand, _credentials, _test, _email, _team)
