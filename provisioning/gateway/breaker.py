"""The circuit breaker, and what stops the gateway: answers that concern all calls."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from itertools import takewhile

from django.db import transaction

from provisioning.backoff import exponential
from provisioning.constant_contact import Answer, Meaning
from provisioning.gateway import row
from provisioning.models import Attempt, Gateway

UNUSABLE_ACCOUNTS = 3
"""How many accounts in a row must get an unusable answer before the gateway stops."""
UNCLEAR_ANSWERS, UNCLEAR_ACCOUNTS = 5, 3
"""How many unclear answers in a row, for how many accounts, open the circuit breaker."""
FIRST_OUTAGE_PAUSE, MAX_OUTAGE_PAUSE = timedelta(seconds=30), timedelta(minutes=10)

LIKELY_CAUSES = {
    401: "Check CONSTANT_CONTACT_USERNAME and CONSTANT_CONTACT_PASSWORD.",
    403: "The API key may be inactive or lack a scope: check CONSTANT_CONTACT_API_KEY.",
    404: "The API is not at this address: check CONSTANT_CONTACT_URL.",
    405: "A different service answers at this address: check CONSTANT_CONTACT_URL.",
    407: "A proxy requires a login: check the proxy environment variables.",
}
REDIRECTED = "This address redirects elsewhere: check CONSTANT_CONTACT_URL."

Outcome = Attempt.Outcome


def apply_answer(answer: Answer) -> None:
    """Pause, stop or reopen the gateway if an answer requires it. Call it once the answer's attempt is complete."""
    with transaction.atomic():
        match answer.meaning:
            case Meaning.STOP:
                row.stop(_reason(answer))
            case Meaning.OVER_RATE:
                wait = max(row.OVER_RATE_PAUSE, answer.retry_after or row.OVER_RATE_PAUSE)
                row.pause_until(row.now() + wait, answer.meaning)
            case Meaning.OVER_QUOTA:
                reset = row.now() + answer.retry_after if answer.retry_after else row.midnight_after(row.now())
                row.pause_until(reset, answer.meaning)
            case Meaning.NOTHING_CREATED:
                if _count_accounts(takewhile(_is_unusable, _newest_calls())) >= UNUSABLE_ACCOUNTS:
                    row.stop(_reason(answer))
            case Meaning.UNKNOWN | Meaning.UNSENT:
                unclear = list(takewhile(_is_unclear, _newest_calls()))
                if len(unclear) >= UNCLEAR_ANSWERS and _count_accounts(iter(unclear)) >= UNCLEAR_ACCOUNTS:
                    _open_breaker()
            case Meaning.CREATED | Meaning.REFUSED | Meaning.TAKEN:
                Gateway.objects.filter(pk=1, outages__gt=0).update(outages=0, probe_until=None)
        Gateway.objects.filter(pk=1, probe_until__isnull=False).update(probe_until=None)


def failing_calls() -> str:
    """Describe the newest calls if several in a row failed to get a clear answer; empty otherwise."""
    hour = row.now() - timedelta(hours=1)
    calls = list(Attempt.objects.filter(kind=Attempt.Kind.CREATE, ended_at__gte=hour).order_by("-ended_at", "-pk")[:12])
    failed = list(takewhile(lambda call: call.outcome in (Outcome.UNKNOWN, Outcome.UNSENT, Outcome.UNUSABLE), calls))
    if len(failed) < UNUSABLE_ACCOUNTS:
        return ""
    got = {f"HTTP {call.status}" if call.status else "no answer" for call in failed}
    return f"{len(failed)} of the last {len(calls)} calls got {' or '.join(sorted(got))}."


def _open_breaker() -> None:
    """Pause, longer each time. Answers to calls that were in flight when it paused do not extend the pause."""
    gateway = row.locked()
    now = row.clock()
    if not (gateway.paused_until and gateway.paused_until > now):
        pause = exponential(FIRST_OUTAGE_PAUSE, MAX_OUTAGE_PAUSE, gateway.outages)
        gateway.outages += 1
        gateway.save()
        row.pause_until(now + pause, "outage")


def _newest_calls() -> Iterator[Attempt]:
    """Return the newest completed create calls, newest first, except those that say nothing about the provider."""
    calls = Attempt.objects.filter(kind=Attempt.Kind.CREATE, ended_at__isnull=False).exclude(outcome=Outcome.NOT_DONE)
    return iter(calls.order_by("-ended_at", "-pk")[: 4 * UNCLEAR_ANSWERS])


def _is_unusable(call: Attempt) -> bool:
    return call.outcome == Outcome.UNUSABLE


def _is_unclear(call: Attempt) -> bool:
    return call.outcome in (Outcome.UNKNOWN, Outcome.UNSENT)


def _count_accounts(calls: Iterator[Attempt]) -> int:
    return len({call.account_id for call in calls})


def _reason(answer: Answer) -> str:
    """Return what Constant Contact answered, and what is probably wrong."""
    words = " ".join(re.sub(r"<[^>]*>", " ", answer.body).split())[:200]
    status = answer.status or 0
    cause = REDIRECTED if 300 <= status < 400 else LIKELY_CAUSES.get(status, "")
    reason = (answer.errors or words or "no reason given").rstrip(".")
    return f"Constant Contact answered {answer.status}: {reason}. {cause}".strip()
