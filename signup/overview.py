"""The sign-up page's tasks in the admin's overview, and the last check of the installation on the page on health."""

from typing import Any

from django.conf import settings
from django.template.defaultfilters import pluralize
from django.urls import reverse

from provisioning.admin_site import health, steps
from provisioning.admin_site.tasks import Task
from signup import visitors
from signup.api import keys
from signup.brand.models import unserved_hosts
from signup.doctor import Level
from signup.emails.sending import failing, untried
from signup.models import Diagnosis


def hidden_visitors(**kwargs: Any) -> Task | None:
    """Warn that limits don't work well, because a proxy hides visitors' addresses."""
    if not visitors.has_hidden_visitors():
        return None
    return Task(
        "The reverse proxy hides visitors' addresses.",
        "",
        "All visitors share one limit, so some are turned away. Ask whoever runs this installation to set"
        " X-Forwarded-For and TRUSTED_PROXIES as docs/production.md says.",
    )


def unsent_emails(**kwargs: Any) -> Task | None:
    """Warn that the mail server doesn't accept emails."""
    if not (size := failing().count()):
        return None
    return Task(
        f"{size} email{pluralize(size)} to customers could not be sent.",
        reverse("admin:signup_mail_changelist"),
        "They are tried again for about a day. Ask whoever runs this installation to run python manage.py doctor.",
    )


def late_emails(**kwargs: Any) -> Task | None:
    """Warn that no worker tries to send emails, although this page has a mail server."""
    if not settings.EMAIL_URL or not (size := untried().count()):
        return None
    return Task(
        f"{size} email{pluralize(size, ' has,s have')} been due for more than five minutes.",
        reverse("admin:signup_mail_changelist"),
        "Ask whoever runs this installation to check that a worker runs, and that its settings include EMAIL_URL.",
    )


def unserved_brands(**kwargs: Any) -> Task | None:
    """Name brands that no visitor can see."""
    if not (hosts := unserved_hosts()):
        return None
    return Task(
        f"Visitors can't open {', '.join(hosts)}: {pluralize(len(hosts), 'it is,they are')} not in ALLOWED_HOSTS.",
        reverse("admin:signup_brand_changelist"),
        "Ask whoever runs this installation to add what is missing, or correct the host name of the brand.",
        "signup.view_brand",
    )


def keys_of_former_staff(**kwargs: Any) -> Task | None:
    """Name API keys that somebody who has left may still know."""
    if not (left := keys.of_former_staff()):
        return None
    named = ", ".join(f"{key}, by {key.created_by}" for key in left)
    return Task(
        f"{len(left)} API key{pluralize(len(left), ' was,s were')} created by staff who have left: {named}.",
        reverse("admin:signup_apikey_changelist"),
        "They still work, and whoever created one has seen it. Create another one for the same system, then revoke it.",
        "signup.view_apikey",
    )


def failed_checks(**kwargs: Any) -> Task | None:
    """Name what the last run of the doctor found to be broken."""
    check = last_check()
    if not check or not (failed := [each.subject for each in check.problems if each.is_failure]):
        return None
    return Task(
        f"The last installation check failed: {', '.join(dict.fromkeys(failed))}.",
        f"{reverse('admin:health')}#check",
        "Ask whoever runs this installation to fix it, and to run python manage.py doctor again.",
        steps.PERMISSION,
    )


def last_check(**kwargs: Any) -> health.Check | None:
    """Return when the doctor was last run, and what was not as it should be, failures first."""
    if not (last := Diagnosis.objects.order_by("pk").last()):
        return None
    problems = [
        health.Problem(each["subject"], each["text"], each["fix"], each["level"] == Level.FAILURE)
        for each in last.findings
        if each["level"] != Level.OK
    ]
    problems.sort(key=lambda problem: not problem.is_failure)
    return health.Check(last.at, reverse("admin:signup_diagnosis_changelist"), problems)
