"""Plans notices by the rules: at once when an incident begins and ends, or in a daily digest."""

from __future__ import annotations

from datetime import time

from django.db import transaction
from django.db.models import Q
from django.utils.timezone import localtime

from provisioning.models import Incident, Notice, NoticeRule

Phase, When = Notice.Phase, NoticeRule.When
DIGEST_AT = time(8)
"""In the installation's time zone."""


def plan(incident: Incident, phase: str) -> None:
    """Plan the notices about the beginning or the end of an incident. Only those who heard of one hear of its end."""
    wanted = [rule for rule in NoticeRule.objects.filter(when=When.AT_ONCE) if incident.kind in rule.incidents]
    if phase == Phase.END:
        heard = set(incident.notices.values_list("rule", flat=True))
        wanted = [rule for rule in wanted if rule.pk in heard]
    Notice.objects.bulk_create(Notice(rule=rule, incident=incident, phase=phase) for rule in wanted)


def plan_digests() -> None:
    """Plan today's digests, after 8 a.m., one for each rule. A rule about which there is nothing to tell gets none."""
    now = localtime()
    if now.time() < DIGEST_AT:
        return
    for rule in NoticeRule.objects.filter(Q(digest_on=None) | Q(digest_on__lt=now.date()), when=When.DAILY):
        with transaction.atomic():
            as_read = NoticeRule.objects.filter(pk=rule.pk, digest_on=rule.digest_on)
            if as_read.update(digest_on=now.date()):
                # Even an earlier one that could not be sent: this one replaces it.
                rule.notices.filter(phase=Phase.DIGEST).delete()
                if open_incidents(rule):
                    Notice.objects.create(rule=rule, phase=Phase.DIGEST)


def open_incidents(rule: NoticeRule) -> list[Incident]:
    """Return the open incidents that a rule covers."""
    return list(Incident.objects.filter(ended_at=None, kind__in=rule.incidents).order_by("begun_at"))


def notifies_immediately(kind: Incident.Kind) -> bool:
    """Whether any rule sends a notice of this kind of incident right away."""
    at_once = NoticeRule.objects.filter(when=When.AT_ONCE)
    return any(kind in kinds for kinds in at_once.values_list("incidents", flat=True))
