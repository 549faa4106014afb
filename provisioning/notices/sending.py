"""Sends due notices: by email, or to an incoming webhook of Slack or Microsoft Teams."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Collection
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import connection
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from provisioning.events import calls
from provisioning.events.calls import Call
from provisioning.events.deliveries import back_off
from provisioning.hosts import main_host, main_origin
from provisioning.models import Incident, Notice, NoticeRule
from provisioning.notices import rules
from provisioning.notices.next_steps import next_step
from provisioning.sealed import CannotOpen

log = logging.getLogger(__name__)

MAX_TRIES = 10
LEASE = timedelta(minutes=2)
"""How long sending one notice may take before another worker may send it."""
THREADS = 16
"""How many rules' notices are sent at a time."""
LOOK_AGAIN = 0.25
"""Seconds between two looks at what is due, while some are being sent."""
NO_MAIL_SERVER = "There is no mail server: set EMAIL_URL."
NO_ADDRESS = "This person has no email address, or can't log in to the admin. Choose somebody else."
NOT_TAKEN = "The mail server did not accept the email. Check EMAIL_URL and DEFAULT_FROM_EMAIL."
_sending = threading.Lock()
_NEVER = threading.Event()

Kind, Phase, Channel = Incident.Kind, Notice.Phase, NoticeRule.Channel

RESOLVED = {Kind.WORKER: "It reports again, another one has started since, or it has been gone for a day."}
"""Kind of incident → why it is over, if that is not obvious."""


def send_on_a_thread(*, ending: threading.Event = _NEVER, **kwargs: Any) -> None:
    """Send due notices, unless another thread is already doing so. Runs as a worker's chore."""
    if not _sending.locked() and _due().exists():
        threading.Thread(target=_send_and_disconnect, args=(ending,), name="notices").start()


def send_due(ending: threading.Event = _NEVER) -> None:
    """Send notices until none is due, or this process is to end. One rule's notices never wait for another's.

    This thread does everything with the database. The others send.
    """
    under_way: dict[Future[str], Notice] = {}
    with ThreadPoolExecutor(THREADS, "notice") as pool:
        while True:
            busy = [notice.rule_id for notice in under_way.values()]
            while len(busy) < THREADS and not ending.is_set() and (notice := _claim(busy)):
                under_way[pool.submit(_send, notice, *compose(notice))] = notice
                busy.append(notice.rule_id)
            if not under_way:
                return
            for sent in wait(under_way, LOOK_AGAIN, FIRST_COMPLETED).done:
                _settle(under_way.pop(sent), sent.result())


def _send_and_disconnect(ending: threading.Event) -> None:
    with _sending:
        try:
            send_due(ending)
        except Exception:
            log.exception("sending notices failed; due ones stay planned")
        finally:
            connection.close()


def _due() -> QuerySet[Notice]:
    return Notice.objects.filter(due_at__lte=Now()).order_by("due_at", "pk")


def _claim(busy: Collection[int]) -> Notice | None:
    """Claim a due notice of a rule that is not busy."""
    while due := _due().exclude(rule__in=busy).select_related("rule__user", "incident").first():
        as_read = Notice.objects.filter(pk=due.pk, tries=due.tries, due_at__lte=Now())
        if as_read.update(due_at=Now() + LEASE, tries=F("tries") + 1):
            due.tries += 1
            return due
    return None


def _send(notice: Notice, subject: str, text: str) -> str:
    """Send a claimed notice, unless there is nothing to tell any more. Return the problem."""
    if not text:
        return ""
    return (_email if notice.rule.channel == Channel.EMAIL else _post)(notice, subject, text)


def _settle(notice: Notice, problem: str) -> None:
    """Record the outcome of sending a claimed notice."""
    mine = Notice.objects.filter(pk=notice.pk, tries=notice.tries, sent_at=None)
    if not problem:
        mine.update(due_at=None, sent_at=Now())
        NoticeRule.objects.filter(pk=notice.rule_id).update(problem="", notified_at=Now())
        log.info("notice sent rule=%s notice=%s", notice.rule_id, notice)
        return
    mine.update(due_at=None if notice.tries >= MAX_TRIES else Now() + back_off(notice.tries))
    NoticeRule.objects.filter(pk=notice.rule_id).update(problem=problem)
    log.warning("notice could not be sent rule=%s problem=%r", notice.rule_id, problem)


def compose(notice: Notice) -> tuple[str, str]:
    """Return the subject and the text of a notice; empty if there is nothing to tell any more."""
    if notice.incident is None:
        incidents = rules.open_incidents(notice.rule)
        lines = [f"{incident}: {incident.detail}\n{_next_step(incident)}" for incident in incidents]
        return "What needs your attention today", "\n\n".join(lines)
    subject = str(notice.incident)
    if notice.phase == Phase.END:
        about = f"\n{notice.incident.detail}" if notice.incident.subject else ""
        over = RESOLVED.get(Kind(notice.incident.kind), "This is resolved.")
        return f"Resolved: {subject}", f"{over} You don't need to do anything.{about}"
    return subject, f"{notice.incident.detail}\n{_next_step(notice.incident)}"


def _next_step(incident: Incident) -> str:
    step = next_step(incident)
    return f"{step.advice}:\n{main_origin()}{step.url}"


def _email(notice: Notice, subject: str, text: str) -> str:
    """Send an email, and return the problem. Emails about one incident are one thread."""
    user = notice.rule.user
    if not settings.EMAIL_URL:
        return NO_MAIL_SERVER
    if user is None or not (user.email and user.is_active and user.is_staff):
        return NO_ADDRESS
    headers = {"Auto-Submitted": "auto-generated"}
    if notice.incident:
        first = f"<incident-{notice.incident.pk}-{notice.rule_id}@{main_host()}>"
        is_first = notice.phase == Phase.BEGINNING
        headers |= {"Message-ID": first} if is_first else {"In-Reply-To": first, "References": first}
    try:
        EmailMessage(subject, f"{text}\n", to=[user.email], headers=headers).send()
    except Exception as error:
        return f"{NOT_TAKEN} ({type(error).__name__})"
    return ""


def _post(notice: Notice, subject: str, text: str) -> str:
    """Post to an incoming webhook, and return the problem."""
    try:
        url = notice.rule.url.open()
    except CannotOpen as error:
        return str(error)
    body = _slack(subject, text) if notice.rule.channel == Channel.SLACK else _teams(subject, text)
    result = calls.make(Call(url, {"Content-Type": "application/json"}, json.dumps(body).encode()))
    if result.is_delivered:
        return ""
    return result.problem or f"The channel answered {result.status}. If this lasts, check the webhook URL."


def _slack(subject: str, text: str) -> dict[str, Any]:
    """https://docs.slack.dev/messaging/formatting-message-text#escaping"""
    for sign, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        subject, text = subject.replace(sign, escaped), text.replace(sign, escaped)
    return {"text": f"*{subject}*\n{text}"}


def _teams(subject: str, text: str) -> dict[str, Any]:
    """https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using

    Names of endpoints and workers are in the text, so it is in blocks that know no Markdown.
    """
    runs: list[dict[str, Any]] = [{"type": "TextRun", "text": subject, "weight": "Bolder"}]
    for line in filter(None, text.splitlines()):
        is_address = line.startswith(f"{main_origin()}/")
        leads = {"selectAction": {"type": "Action.OpenUrl", "url": line}} if is_address else {}
        runs.append({"type": "TextRun", "text": line, **leads})
    blocks = [{"type": "RichTextBlock", "inlines": [run]} for run in runs]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": blocks,
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [attachment]}
