"""What staff have to do, for the admin's overview. Every line names a problem as it is now, with its page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models.functions import Now
from django.template.defaultfilters import pluralize
from django.urls import reverse

from provisioning import gateway
from provisioning.mirror import passes
from provisioning.models import LOST_AFTER, OVERDUE_AFTER, Account, Endpoint, Incident, NoticeRule, Worker
from provisioning.notices import incidents
from provisioning.notices.next_steps import NEXT_STEPS
from provisioning.signals import to_do

Kind, State = Incident.Kind, Account.State

LATE = timedelta(minutes=10)
"""How long an account may be queued before staff are told."""


@dataclass(frozen=True)
class Task:
    """Something for staff to do, with a link to the page for it, and advice."""

    text: str
    url: str
    """Empty if there is no page for it."""
    advice: str
    permission: str = ""
    """The permission to open that page; empty if everyone who sees the overview may open it."""

    def for_user(self, user: Any) -> Task:
        """Return the task without a link that this staff member could not follow."""
        return self if not self.permission or user.has_perm(self.permission) else replace(self, url="")


def tasks(workers: list[Worker]) -> list[Task]:
    """Return what staff have to do, the most urgent first. `workers` are those that run."""
    pause = gateway.current_pause()
    others: list[Task] = [task for _receiver, task in to_do.send(Task) if task]  # type: ignore[misc]
    return [
        *_paused(pause),
        *_about_workers(workers),
        *_about_calls(has_pause=pause is not None),
        *_switched_off(),
        *_delayed_accounts(),
        *_waiting_accounts(),
        *_failing_notices(),
        *others,
    ]


def _about(kind: Incident.Kind, text: str, more: str = "") -> Task:
    """Return a task whose next step is that of an incident. `more` comes before its advice."""
    step = NEXT_STEPS[kind]
    return Task(text, step.url, f"{more}{step.advice}.")


def _paused(pause: gateway.Pause | None) -> Iterator[Task]:
    if pause:
        yield Task(
            f"Sending is {'paused' if pause.until else 'stopped'}, so no accounts are created.",
            reverse("admin:provisioning_gateway_changelist"),
            "The banner above says why, and what to do.",
        )


def _about_workers(workers: list[Worker]) -> Iterator[Task]:
    page = reverse("admin:provisioning_worker_changelist")
    if not workers:
        yield Task("No worker is running.", page, "Ask whoever runs this installation to start one.")
    elif gone := " ".join(incidents.missing_workers().values()):
        yield _about(Kind.WORKER, f"A worker is gone: {gone}", "The others do its work. ")
    if blocked := next((worker.problem for worker in workers if worker.problem), ""):
        advice = "It retries automatically. If it lasts, ask whoever runs this installation to check the database."
        yield Task(f"A worker is blocked: {blocked}", page, advice)
    if others := [worker for worker in workers if worker.version != settings.VERSION]:
        running = ", ".join(sorted({worker.version or "an older one" for worker in others}))
        advice = "During an upgrade, that is normal. If it lasts, ask whoever runs this installation to finish it."
        yield Task(f"A worker runs another version than this page: {running}, not {settings.VERSION}.", page, advice)


def _about_calls(*, has_pause: bool) -> Iterator[Task]:
    if failing := gateway.failing_calls():
        yield Task(failing, f"{_accounts()}?show=attention", "Open the newest one to see the full answer.")
    if unread := passes.problem():
        yield Task(
            f"Your account list at Constant Contact could not be read: {unread}",
            reverse("admin:provisioning_listpass_changelist"),
            "Unconfirmed accounts wait until it can be read. The worker retries automatically.",
        )
    if (quota := incidents.quota_running_out()) and not has_pause:
        yield Task(f"{Kind.QUOTA.label}.", NEXT_STEPS[Kind.QUOTA].url, quota)


def _switched_off() -> Iterator[Task]:
    if off := Endpoint.objects.given_up().count():
        text = f"{off} event endpoint{pluralize(off, ' was,s were')} switched off, because deliveries failed."
        yield _about(Kind.ENDPOINT, text)


def _delayed_accounts() -> Iterator[Task]:
    """Name accounts that take long, but will move without staff."""
    if unsendable := Account.objects.unsendable().count():
        yield Task(
            f"{unsendable} account{pluralize(unsendable)} can't be sent with a worker's settings.",
            f"{_accounts()}?state__exact={State.QUEUED}",
            "Open one to see why. Ask whoever runs this installation to fix it, and to restart the workers.",
        )
    unconfirmed = Account.objects.filter(state=State.UNCONFIRMED, state_changed_at__lte=Now() - OVERDUE_AFTER)
    if unclear := unconfirmed.filter(state_changed_at__gt=Now() - LOST_AFTER, due_at__isnull=False).count():
        yield Task(
            f"{unclear} account{pluralize(unclear, ' has,s have')} been unconfirmed for more than five minutes.",
            f"{_accounts()}?state__exact={State.UNCONFIRMED}",
            "They are being looked up. After an hour, they wait for your decision.",
        )
    if late := Account.objects.filter(state=State.QUEUED, submitted_at__lte=Now() - LATE).count():
        yield Task(
            f"{late} account{pluralize(late, ' has,s have')} been queued for more than ten minutes.",
            f"{_accounts()}?state__exact={State.QUEUED}",
            "Open the oldest one to see why.",
        )


def _waiting_accounts() -> Iterator[Task]:
    """Name accounts that wait for staff or for their customers."""
    if lost := Account.objects.waiting_for_staff().filter(state=State.UNCONFIRMED).count():
        yield _about(Kind.DECISION, f"{lost} account{pluralize(lost)} may or may not exist.")
    if held := Account.objects.filter(state=State.HELD).count():
        yield _about(Kind.APPROVAL, f"{held} account{pluralize(held, ' needs,s need')} approval.")
    if rejected := Account.objects.filter(state=State.REJECTED).count():
        yield _about(Kind.CORRECTION, f"{rejected} account{pluralize(rejected, ' needs,s need')} a correction.")


def _failing_notices() -> Iterator[Task]:
    """Name the rules whose last notice could not be sent: nobody hears of the next problem."""
    for rule in NoticeRule.objects.exclude(problem=""):
        yield Task(
            f"Notices by the rule {rule} could not be sent: {rule.problem}",
            reverse("admin:provisioning_noticerule_change", args=[rule.pk]),
            "An administrator can choose another person or channel.",
            "provisioning.view_noticerule",
        )


def _accounts() -> str:
    return reverse("admin:provisioning_account_changelist")
