"""The tables of notices: incidents, rules about who hears of them, and each notice."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from provisioning.sealed import SealedField


class Incident(models.Model):
    """A time in which something needs staff. There is at most one of each kind and subject at a time."""

    class Kind(models.TextChoices):
        STOPPED = "stopped", "Sending stopped"
        APPROVAL = "approval", "Accounts wait for approval"
        CORRECTION = "correction", "Accounts wait for a correction"
        DECISION = "decision", "Accounts may or may not exist, and wait for a decision"
        WORKER = "worker", "A worker is gone"
        ENDPOINT = "endpoint", "An event endpoint was switched off"
        QUOTA = "quota", "80% of the day's quota is used"

    kind = models.CharField(max_length=10, choices=Kind.choices)
    subject = models.CharField(max_length=20, blank=True, db_default="", editable=False)
    """What it is about, if each such thing has incidents of its own: the primary key of an endpoint, or how
    many workers are gone with this one."""
    detail = models.TextField(blank=True)
    """What is known of it, without personal data."""
    begun_at = models.DateTimeField("began", db_default=Now())
    absent_since = models.DateTimeField(null=True)
    """Since when its cause has been absent; null while it is there. It ends once that has lasted for some time."""
    ended_at = models.DateTimeField("ended", null=True)

    class Meta:
        ordering = ("-begun_at", "-pk")
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject"], name="incident_one_of_a_subject", condition=Q(ended_at=None)
            )
        ]

    def __str__(self) -> str:
        return self.get_kind_display()


class NoticeRule(models.Model):
    """Who is notified of which incidents, and when."""

    class Channel(models.TextChoices):
        EMAIL = "email", "Email"
        SLACK = "slack", "Slack"
        TEAMS = "teams", "Microsoft Teams"

    class When(models.TextChoices):
        AT_ONCE = "at_once", "Right away"
        DAILY = "daily", "Once a day, at 8 a.m."

    name = models.CharField(max_length=80, help_text="Who gets these notices, like Support.")
    incidents = models.JSONField(default=list)
    when = models.CharField(max_length=7, choices=When.choices, default=When.AT_ONCE)
    channel = models.CharField(max_length=5, choices=Channel.choices, default=Channel.EMAIL)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        verbose_name="person",
        related_name="+",
    )
    url = SealedField("webhook URL")
    """The address of an incoming webhook in Slack or Teams. Whoever knows it can write to the channel."""
    digest_on = models.DateField(null=True, editable=False)
    """The day of the last digest."""
    problem = models.CharField(max_length=255, blank=True, editable=False)
    """Why the last notice could not be sent; empty if it was."""
    notified_at = models.DateTimeField("last notice", null=True, editable=False, db_column="told_at")

    class Meta:
        ordering = ("name", "pk")

    def __str__(self) -> str:
        return self.name


class Notice(models.Model):
    """One message about the beginning or the end of an incident, or a day's digest."""

    class Phase(models.TextChoices):
        BEGINNING = "beginning", "Beginning"
        END = "end", "End"
        DIGEST = "digest", "Digest"

    rule = models.ForeignKey(NoticeRule, on_delete=models.CASCADE, related_name="notices")
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, null=True, related_name="notices")
    """Null for a digest."""
    phase = models.CharField(max_length=9, choices=Phase.choices)
    due_at = models.DateTimeField(null=True, db_default=Now())
    """When to send it; null if it was sent or given up, or while it is being sent."""
    tries = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["due_at"], name="notice_due", condition=Q(due_at__isnull=False))]
        constraints = [models.UniqueConstraint(fields=["rule", "incident", "phase"], name="notice_once_per_phase")]

    def __str__(self) -> str:
        return f"{self.incident or 'Digest'} ({self.get_phase_display().lower()})"
