"""What is set up starts, and what can't start is reported by the system checks."""

from __future__ import annotations

import pytest
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpResponse
from pytest_django import Settings

from signup import telemetry
from signup.checks import check_configuration
from tests.checkout import Checkout


@pytest.fixture
def not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "find_spec", lambda name: None)


def told() -> list[tuple[str | None, str]]:
    return [(message.id, message.msg) for message in check_configuration()]


@pytest.mark.parametrize(
    ("setting", "extra"), [("SENTRY_DSN", "sentry"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "opentelemetry")]
)
def test_a_setting_without_its_packages_is_an_error(
    settings: Settings, not_installed: None, setting: str, extra: str
) -> None:
    setattr(settings, setting, "https://key@telemetry.example.com/1")

    telemetry.start()  # It must not fail, because then the checks couldn't run.

    assert told() == [("signup.E021", f"{setting} is set, but the packages of the extra `{extra}` are not installed.")]


def test_a_dsn_without_a_key_is_an_error(settings: Settings) -> None:
    settings.SENTRY_DSN = "https://sentry.example.com/1"

    assert told() == [("signup.E022", "SENTRY_DSN has no key.")]


def test_requests_are_not_traced_unless_that_is_set_up() -> None:
    with pytest.raises(MiddlewareNotUsed):
        telemetry.trace_requests(lambda request: HttpResponse())


def test_the_packages_are_not_imported_unless_that_is_set_up(checkout: Checkout) -> None:
    checkout.environment |= {"DEBUG": "true", "DJANGO_SETTINGS_MODULE": "signup.settings"}
    code = "import django, sys; django.setup(); print({'sentry_sdk', 'opentelemetry'} & set(sys.modules))"

    assert checkout.run("-c", code).stdout == "set()\n"
