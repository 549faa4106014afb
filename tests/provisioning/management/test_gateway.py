from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from provisioning import gateway
from provisioning.gateway import row
from provisioning.models import Gateway
from tests.signup.test_health import unreachable_database

pytestmark = pytest.mark.django_db
NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def noon(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CONSTANT_CONTACT_RATE = 4.0
    settings.CONSTANT_CONTACT_DAILY_QUOTA = 10_000
    monkeypatch.setattr(row, "clock", lambda: NOON)
    gateway.state()


def told(*arguments: str) -> list[str]:
    output = StringIO()
    call_command("gateway", *arguments, stdout=output)
    return output.getvalue().splitlines()


def test_a_running_gateway_shows_todays_calls_and_the_rate() -> None:
    Gateway.objects.update(day=NOON.date(), calls=12)
    assert told() == ["Running: calls are being made.", "Calls today: 12 of 10000", "Rate: 4 per second"]


def test_yesterdays_calls_are_not_shown() -> None:
    Gateway.objects.update(day=NOON.date() - timedelta(days=1), calls=12)
    assert "Calls today: 0 of 10000" in told()


def test_a_pause_shows_its_end_and_its_reason() -> None:
    Gateway.objects.update(day=NOON.date(), calls=10_000)
    assert told()[0] == "Paused until 2030-02-01 00:00:00 UTC: Today's quota of calls is used up."


def test_a_stop_shows_since_when_and_why_and_what_to_do() -> None:
    gateway.stop("Constant Contact answered 401: wrong password")
    assert told()[:2] == [
        "Stopped since 2030-01-31 12:00:00 UTC: Constant Contact answered 401: wrong password",
        "Once the cause is fixed, run: manage.py gateway resume",
    ]


def test_resume_reopens_the_gateway_and_says_so() -> None:
    gateway.stop("for a test")
    assert told("resume")[0] == "Running: calls are being made."
    assert gateway.current_pause() is None


def test_a_locked_row_is_an_error_in_words_and_does_not_hang() -> None:
    """`resume` needs the row that somebody else may hold."""
    with unreachable_database("database is locked"), pytest.raises(CommandError, match="locked by another session"):
        told("resume")


def test_the_database_may_not_keep_it_waiting(settings: Settings) -> None:
    told()
    assert connection.settings_dict["STATEMENT_TIMEOUT"] == settings.STATEMENT_TIMEOUT


def test_any_other_argument_is_an_error() -> None:
    with pytest.raises(CommandError, match="invalid choice"):
        told("stop")
