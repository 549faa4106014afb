"""The two tables of the mirror."""

from __future__ import annotations

import unicodedata

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class ListPass(models.Model):
    """One pass over the partner's list, from its first page to its last."""

    class Outcome(models.TextChoices):
        COMPLETE = "complete", "Complete"
        """The list was read to its end."""
        FAILED = "failed", "Failed"
        """The list could not be read to its end; `problem` says why."""

    source = models.CharField(max_length=64, editable=False)
    """Digest of the API, the address, and the partner whose list this is: another one's list proves nothing."""
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=8, choices=Outcome.choices, blank=True)
    """Empty while the pass is under way."""
    page = models.TextField(blank=True)
    """The page to read next, as the vendor names it; empty for the first."""
    pages = models.PositiveIntegerField(default=0)
    entries = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    """Entries that could not be read."""
    failures = models.PositiveSmallIntegerField(default=0)
    """How often the next page could not be read, in a row."""
    problem = models.TextField(blank=True)
    due_at = models.DateTimeField(null=True, db_default=Now())
    """When the next page may be read, by the database's clock: after a backoff, or when a worker's lease ends."""
    claim = models.UUIDField(null=True)
    """The hold of the worker that reads a page; replaced by each new hold, which fences the old one's late writes."""

    class Meta:
        verbose_name = "pass over the list"
        verbose_name_plural = "passes over the list"
        ordering = ("-pk",)
        indexes = [models.Index(fields=["outcome", "-ended_at"], name="list_pass_outcome_ended")]
        constraints = [
            models.UniqueConstraint(fields=["outcome"], name="list_pass_one_at_a_time", condition=Q(outcome=""))
        ]

    def __str__(self) -> str:
        return f"{self.get_outcome_display() or 'Under way'}: {self.pages} pages, {self.entries} accounts"


class ListEntry(models.Model):
    """One account in the partner's list, as last listed."""

    account_id = models.CharField(max_length=80, unique=True)
    username = models.CharField(max_length=255, blank=True)
    """v2 `username`, v3 `site_owner_name`, which may be a person's name: see `Gateway.list_names`."""
    organization_name = models.CharField(max_length=255, blank=True)
    status = models.CharField(max_length=255, blank=True)
    username_key = models.CharField(max_length=255, blank=True, db_index=True, editable=False)
    organization_key = models.CharField(max_length=255, blank=True, db_index=True, editable=False)
    """What names are compared by; see `name_key` and `organization_key`."""
    first_seen_at = models.DateTimeField(db_default=Now())
    last_seen_at = models.DateTimeField(db_default=Now(), db_index=True)
    last_pass = models.ForeignKey(ListPass, on_delete=models.SET_NULL, null=True, related_name="+")
    """The newest pass that showed it."""

    class Meta:
        verbose_name = "listed account"
        ordering = ("-first_seen_at", "-pk")

    def __str__(self) -> str:
        return f"{self.organization_name} ({self.username})"


def name_key(username: str) -> str:
    """The spelling by which usernames are compared: the provider holds them apart without regard to case."""
    return username.strip().lower()[:255]


def organization_key(name: str) -> str:
    """The spelling by which organizations are compared: without case, blanks and punctuation."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return ("".join(filter(str.isalnum, folded)) or folded.strip())[:255]
