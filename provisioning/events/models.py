"""The tables of events: what happened, whom to tell, and the evidence of every call that told them."""

from __future__ import annotations

import uuid
from datetime import timedelta
from urllib.parse import urlsplit

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from provisioning.events.addresses import check_url
from provisioning.sealed import SealedField


class EventType(models.TextChoices):
    """What can happen. docs/events.md describes each type for receivers."""

    RECEIVED = "signup.received", "A customer signed up"
    HELD = "signup.held", "A sign-up waits for approval"
    CREATED = "signup.created", "An account was created"
    REJECTED = "signup.rejected", "Constant Contact refused a value"
    CLOSED = "signup.closed", "A sign-up was declined or closed"
    NEEDS_STAFF = "signup.needs_staff", "A sign-up is stuck and needs your staff"
    STOPPED = "gateway.stopped", "Sending stopped"
    PAUSED = "gateway.paused", "Sending paused"
    RESUMED = "gateway.resumed", "Sending resumed"


TEST = "endpoint.test"
"""The type of test events, which staff send to one endpoint."""
GRACE = timedelta(hours=24)
"""How long the previous secret keeps signing after a rotation."""


class EndpointManager(models.Manager["Endpoint"]):
    """All but those that staff have deleted, whose deliveries are still being deleted."""

    def get_queryset(self) -> models.QuerySet[Endpoint]:
        return super().get_queryset().filter(deleted_at=None)

    def on(self) -> models.QuerySet[Endpoint]:
        return self.filter(is_on=True)

    def given_up(self) -> models.QuerySet[Endpoint]:
        """Return endpoints that were switched off, but not by staff."""
        return self.filter(is_on=False).exclude(off_reason="")


class Endpoint(models.Model):
    """One of the partner's systems, which is told of events."""

    name = models.CharField(max_length=80, help_text="The system that receives the events, like CRM.")
    url = models.CharField("URL", max_length=500, help_text="Where to send the events, starting with https://.")
    events = models.JSONField(default=list)
    """The types that it wants."""
    host = models.CharField(
        "brand's host name",
        max_length=253,
        blank=True,
        help_text="Send only events about sign-ups at this host name, like signup.example.com. "
        "If empty, events about all sign-ups are sent.",
    )
    has_personal_fields = models.BooleanField(
        "include personal fields",
        default=False,
        help_text="Names, organization, email address, phone, website, and username. Never a password or token.",
    )
    secret = SealedField()
    """Signs its deliveries: `whsec_` and the key in base64."""
    previous_secret = SealedField()
    """Signs too until `GRACE` after the rotation, so that the receiver can change to the new one at any time then."""
    rotated_at = models.DateTimeField(null=True, editable=False)
    is_on = models.BooleanField("on", default=True, editable=False)
    off_reason = models.CharField(max_length=255, blank=True, editable=False)
    """Why it was switched off; empty if staff did it, or if it is on."""
    failing_since = models.DateTimeField(null=True, editable=False)
    """When the first of its latest calls failed; null if the last one succeeded."""
    backs_off_until = models.DateTimeField(null=True, editable=False, db_column="rests_until")
    """No call before this time: the receiver asked for a pause."""
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    deleted_at = models.DateTimeField(null=True, editable=False)
    """When staff deleted it; null if they didn't. It is gone once a worker has deleted its deliveries."""

    objects = EndpointManager()
    everything = models.Manager["Endpoint"]()

    class Meta:
        ordering = ("name", "pk")
        permissions = [("reveal_secret_endpoint", "Can see the signing secrets of endpoints")]

    def __str__(self) -> str:
        return self.name

    @property
    def address(self) -> str:
        """The URL's host; the rest of a URL may hold a token."""
        return urlsplit(self.url).hostname or ""

    def clean(self) -> None:
        check_url(self.url)
        self.host = self.host.strip().lower()

    def wants(self, event: Event) -> bool:
        about_it = not self.host or event.account_id is None or self.host == event.host
        return event.type in self.events and about_it


class Event(models.Model):
    """One thing that happened, as it was then. It holds no personal data: personal fields are added when it is sent."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True)
    type = models.CharField(max_length=32, choices=[*EventType.choices, (TEST, "Test")])
    account = models.ForeignKey("Account", on_delete=models.CASCADE, null=True, related_name="events")
    """The sign-up; null if the event is about something else."""
    host = models.CharField(max_length=253, blank=True)
    """Where the customer signed up; empty if that is not known, or if the event is about something else."""
    data = models.JSONField(default=dict)
    at = models.DateTimeField(db_default=Now(), db_index=True)
    is_routed = models.BooleanField(default=False)
    """Whether there is a delivery for each endpoint that wants it."""

    class Meta:
        indexes = [models.Index(fields=["is_routed"], name="event_unrouted", condition=Q(is_routed=False))]

    def __str__(self) -> str:
        return self.type

    @property
    def webhook_id(self) -> str:
        """The ID that receivers see. It is the same for every try and every endpoint."""
        return f"msg_{self.uid.hex}"


class Delivery(models.Model):
    """One event for one endpoint."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        DELIVERED = "delivered", "Delivered"
        FAILED = "failed", "Failed"
        """Not tried again, unless staff replay it."""

    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="deliveries")
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="deliveries")
    state = models.CharField(max_length=9, choices=State.choices, default=State.WAITING)
    due_at = models.DateTimeField(null=True, db_default=Now())
    """When to try next, by the database's clock, or when the lease of the try under way ends; null if it is over."""
    claim = models.UUIDField(null=True)
    """Identifies the try under way. A later claim replaces it, which fences late results."""
    tries = models.PositiveIntegerField(default=0)
    retried_until = models.DateTimeField(null=True)
    """After this time, a failed try is the last one."""
    done_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "deliveries"
        permissions = [("replay_delivery", "Can send deliveries again")]
        ordering = ("-pk",)
        indexes = [
            models.Index(fields=["endpoint", "due_at"], name="delivery_due", condition=Q(due_at__isnull=False)),
            models.Index(fields=["state", "-id"], name="delivery_state"),
            models.Index(fields=["endpoint", "state", "-id"], name="delivery_of_endpoint"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["event", "endpoint"], name="delivery_once_per_endpoint"),
            models.CheckConstraint(
                name="delivery_waiting_is_due",
                condition=Q(state="waiting", due_at__isnull=False) | (~Q(state="waiting") & Q(due_at=None)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event.type} to {self.endpoint}"


class DeliveryAttempt(models.Model):
    """Evidence: one call to an endpoint. Recorded before it is made, and completed once."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="attempts")
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    """Null while the call is in flight, and forever if its worker died."""
    duration = models.DurationField(null=True)
    status = models.PositiveSmallIntegerField(null=True)
    """The HTTP status of the answer; null if there was none."""
    problem = models.CharField(max_length=255, blank=True)
    """Why it failed, apart from the status."""
    answer = models.TextField(blank=True)
    """The first 1,000 characters of the answer, without secrets and personal data."""

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"{self.status or self.problem or '…'}"
