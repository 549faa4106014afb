"""How this installation runs: the state of the gateway, the workers, and where staff are logged in."""

from __future__ import annotations

from datetime import timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Gateway(models.Model):
    """The one row through which all workers share Constant Contact's limits; only `provisioning.gateway` changes it."""

    next_call_at = models.DateTimeField(db_default=Now())
    """When the next call may start: calls are spaced evenly."""
    day = models.DateField(null=True)
    """The UTC day for `calls`; the vendor's quota is reset at 00:00 UTC."""
    calls = models.PositiveIntegerField(default=0)
    pages = models.PositiveIntegerField(default=0)
    """How many of `calls` read pages of the partner's list."""
    since_page = models.PositiveIntegerField(default=0)
    """Calls made since the last one that read a page."""
    paused_until = models.DateTimeField(null=True)
    """No call before this time, because of the rate limit, the quota, or `outages`."""
    outages = models.PositiveSmallIntegerField(default=0)
    """Consecutive pauses because calls got no clear answer. While there are any, one call at a time probes."""
    probe_until = models.DateTimeField(null=True)
    """When to give up on the current probe."""
    stopped_at = models.DateTimeField(null=True)
    stop_reason = models.TextField(blank=True)
    """Why calls are stopped until staff resume the gateway; empty if they are not."""

    class ReportedState(models.TextChoices):
        PAUSED = "paused", "Paused"
        STOPPED = "stopped", "Stopped"

    reported_state = models.CharField(
        max_length=7, choices=ReportedState.choices, blank=True, db_default="", editable=False, db_column="told"
    )
    """The state that the last event about the gateway reported; empty if calls may be made."""

    class ListNames(models.TextChoices):
        USERNAME = "username", "Usernames: accounts are looked for by username."
        ORGANIZATION = "organization", "No usernames: accounts are looked for by organization."

    list_names = models.CharField("names in v3's list", max_length=12, choices=ListNames.choices, blank=True)
    """What v3's list shows as `site_owner_name`; empty until an account with a known ID was in it."""

    class Meta:
        verbose_name_plural = "gateway"
        permissions = [("resume_gateway", "Can resume sending")]
        constraints = [models.CheckConstraint(name="gateway_is_one_row", condition=Q(pk=1))]

    def __str__(self) -> str:
        return "Sending to Constant Contact"


def own_version() -> str:
    """Return the release that this process runs."""
    version: str = settings.VERSION
    return version


class WorkerQuerySet(models.QuerySet["Worker"]):
    def alive(self) -> Self:
        """Return workers seen within the last minute. Each reports about once a second."""
        return self.filter(seen_at__gte=Now() - timedelta(minutes=1))


class Worker(models.Model):
    """A worker process, and when it last reported."""

    name = models.CharField(max_length=255, unique=True)
    """Host name and process ID."""
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())
    problem = models.CharField(max_length=255, blank=True, db_default="")
    """Why it can't work now; empty if it can."""
    version = models.CharField(max_length=20, blank=True, default=own_version, db_default="")
    """The release that it runs; empty for one of a release that did not report it yet."""

    objects = WorkerQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name


class StaffSession(models.Model):
    """A browser in which a staff member is logged in; deleted together with Django's session."""

    session = models.OneToOneField("sessions.Session", on_delete=models.CASCADE, related_name="staff_session")
    user = models.ForeignKey("auth.User", on_delete=models.CASCADE, related_name="staff_sessions")
    network = models.CharField(max_length=45, blank=True)
    browser = models.CharField(max_length=255, blank=True)
    """The browser's user agent, shortened for display."""
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.user}: {self.browser}"
