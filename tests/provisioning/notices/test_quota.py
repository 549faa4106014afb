"""From when on staff hear of the day's quota."""

from __future__ import annotations

import pytest
from django.core import mail
from pytest_django import Settings

from provisioning import gateway
from provisioning.models import Gateway, Incident
from tests.provisioning.notices.conftest import Look, MakeRule

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("calls", "told"), [(79, []), (80, ["80% of the day's quota is used"])])
def test_it_is_told_from_80_percent(
    calls: int, told: list[str], settings: Settings, rule: MakeRule, look: Look
) -> None:
    settings.CONSTANT_CONTACT_DAILY_QUOTA = 100
    gateway.acquire_permit()
    Gateway.objects.update(calls=calls)
    rule(incidents=[Incident.Kind.QUOTA])
    look()
    assert [str(message.subject) for message in mail.outbox] == told
