"""The mirror's two tables."""

from __future__ import annotations

import unicodedata

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class ListPass(models.Model):
    """One pass over the partner's list, from the first page to the last."""

    class Outcome(models.TextChoices):
        COMPLETE = "complete", "Complete"
        """The list was read to its end."""
        FAILED = "failed", "Failed"
        """The list could not be read to its end; `problem` says why."""

    source = models.CharField(max_length=64, editable=False)
    """A digest of the API, its address and the partner: a different partner's list proves nothing."""
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=8, choices=Outcome.choices, blank=True)
    """Empty while the pass is in progress."""
    page = models.TextField(blank=True)
    """The vendor's link to the page to read next; empty for the first page."""
    pages = models.PositiveIntegerField(default=0)
    entries = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    """Entries that could not be read."""
    failures = models.PositiveSmallIntegerField(default=0)
    """How many times in a row the next page could not be read."""
    problem = models.TextField(blank=True)
    due_at = models.DateTimeField(null=True, db_default=Now())
    """When the next page may be read, by the database's clock: after a backoff, or when a worker's lease ends."""
    claim = models.UUIDField(null=True)
    """Identifies the claim of the worker that reads a page. Each new claim replaces it, which fences late writes."""

    class Meta:
        verbose_name = "account list read"
        verbose_name_plural = "account list reads"
        ordering = ("-pk",)
        indexes = [models.Index(fields=["outcome", "-ended_at"], name="list_pass_outcome_ended")]
        constraints = [
            models.UniqueConstraint(fields=["outcome"], name="list_pass_one_at_a_time", condition=Q(outcome=""))
        ]

    def __str__(self) -> str:
        return f"{self.get_outcome_display() or 'In progress'}: {self.pages} pages, {self.entries:,} accounts"


class ListEntry(models.Model):
    """One account in the partner's list, as last seen there."""

    account_id = models.CharField(max_length=80, unique=True)
    username = models.CharField(max_length=255, blank=True)
    """v2 `username`, or v3 `site_owner_name`, which may be a person's name; see `Gateway.list_names`."""
    organization_name = models.CharField(max_length=255, blank=True)
    status = models.CharField(max_length=255, blank=True)
    username_key = models.CharField(max_length=255, blank=True, db_index=True, editable=False)
    organization_key = models.CharField(max_length=255, blank=True, db_index=True, editable=False)
    """Normalized names for comparison; see `name_key` and `organization_key`."""
    first_seen_at = models.DateTimeField(db_default=Now())
    last_seen_at = models.DateTimeField(db_default=Now(), db_index=True)
    last_pass = models.ForeignKey(ListPass, on_delete=models.SET_NULL, null=True, related_name="+")
    """The newest pass in which it was listed."""

    class Meta:
        verbose_name = "listed account"
        ordering = ("-first_seen_at", "-pk")

    def __str__(self) -> str:
        return (
            f"{self.organization_name} ({self.username})"
            if self.organization_name
            else self.username or self.account_id
        )


def name_key(username: str) -> str:
    """Normalize a username for comparison: the provider ignores case."""
    return username.strip().lower()[:255]


def organization_key(name: str) -> str:
    """Normalize an organization's name for comparison: case, spaces and punctuation are ignored.

    Marks are kept: in Hindi or Thai they are vowels.
    """
    folded = unicodedata.normalize("NFKC", name).casefold()
    kept = (each for each in folded if each.isalnum() or unicodedata.category(each) in {"Mn", "Mc"})
    return ("".join(kept) or folded.strip())[:255]
