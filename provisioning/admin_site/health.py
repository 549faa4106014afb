"""The page on whether everything runs: the gateway, the workers, the partner's list, and the settings that matter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from provisioning import gateway
from provisioning.admin_site import steps
from provisioning.admin_site.words import display_value
from provisioning.mirror import passes
from provisioning.models import Incident, Worker
from provisioning.notices.next_steps import next_step
from provisioning.signals import examined

PERMISSION = "provisioning.view_gateway"
SHOWN = {
    "Constant Contact": (
        "CONSTANT_CONTACT_API",
        "CONSTANT_CONTACT_URL",
        "CONSTANT_CONTACT_RATE",
        "CONSTANT_CONTACT_DAILY_QUOTA",
        "CONSTANT_CONTACT_LIST_HOURS",
        "CONSTANT_CONTACT_OAUTH2_TOKEN",
        "CONSTANT_CONTACT_SINGLE_BILLING",
        "CONSTANT_CONTACT_BILLING_LOCALE",
        "CONSTANT_CONTACT_TEST_ACCOUNTS",
    ),
    "Customers": ("ALLOWED_HOSTS", "ABUSE_PROTECTION", "DEFAULT_FROM_EMAIL", "RETENTION_DAYS", "OIDC_ISSUER"),
    "Staff": ("STAFF_TWO_FACTOR", "STAFF_SESSION_HOURS", "STAFF_IDLE_MINUTES", "TIME_ZONE"),
}
"""Topic → settings that are shown with their values. None of them may hold a secret."""
SECRETS = (
    "CONSTANT_CONTACT_API_KEY",
    "CONSTANT_CONTACT_USERNAME",
    "CONSTANT_CONTACT_PASSWORD",
    "EMAIL_URL",
    "OIDC_CLIENT_SECRET",
    "SIGNUP_LINK_KEY",
)
"""Settings for which the page shows only whether they are set."""


@dataclass(frozen=True)
class Problem:
    """One thing that the check of the installation found, and how to fix it."""

    subject: str
    text: str
    fix: str
    is_failure: bool
    """Otherwise, it is a warning."""


@dataclass(frozen=True)
class Check:
    """The last check of the installation, and the page about it."""

    at: datetime
    url: str
    problems: list[Problem]


def health(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    context = {
        "title": "Health",
        "gateway": gateway.state(),
        "calls": gateway.calls_today(),
        "workers": Worker.objects.alive().order_by("name"),
        "complete": passes.newest_complete(),
        "reading": passes.in_progress(),
        "unread": passes.problem(),
        "incidents": [(each, next_step(each)) for each in Incident.objects.filter(ended_at=None).order_by("begun_at")],
        "may_see_check": request.user.has_perm(steps.PERMISSION),
        "check": next((check for _receiver, check in examined.send(Check) if check), None),
        "quota": settings.CONSTANT_CONTACT_DAILY_QUOTA,
        "database": connection.display_name,
        "topics": {
            topic: {name: display_value(getattr(settings, name)) for name in names} for topic, names in SHOWN.items()
        },
        "secrets": {name: bool(getattr(settings, name)) for name in SECRETS},
    }
    return TemplateResponse(request, "admin/health.html", admin.site.each_context(request) | context)
