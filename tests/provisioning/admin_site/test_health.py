from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as configured
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from provisioning import gateway
from provisioning.admin_site.health import SECRETS, SHOWN
from provisioning.mirror import passes
from provisioning.models import Incident, ListPass, Worker

AsRole = Callable[[str], Client]
PAGE = "/admin/health/"


def text(client: Client) -> str:
    return client.get(PAGE).content.decode()


def test_a_new_installation_says_what_does_not_run_yet(admin_client: Client) -> None:
    page = text(admin_client)
    assert "None running" in page
    assert "It has not been read in full yet." in page
    assert '<span class="state created">Running</span>' in page


def test_it_says_what_runs_and_since_when(admin_client: Client) -> None:
    Worker.objects.create(name="host:1")
    Worker.objects.create(name="host:2", problem="The database is read-only.")
    Worker.objects.create(name="dead:2", seen_at=timezone.now() - timedelta(minutes=5))
    ListPass.objects.create(source=passes.source(), outcome="complete", entries=1204, ended_at=timezone.now())
    page = text(admin_client)
    assert '<span class="state created">Running</span> host:1' in page
    assert '<span class="state rejected">Blocked</span> host:2<br>The database is read-only.' in page
    assert "dead:2" not in page
    assert "1,204 accounts" in page


def test_it_says_why_sending_is_stopped_and_the_list_is_not_read(admin_client: Client) -> None:
    gateway.stop("Constant Contact answered 401")
    ListPass.objects.create(source=passes.source(), outcome="failed", problem="HTTP 404", ended_at=timezone.now())
    page = text(admin_client)
    assert '<span class="state rejected">Stopped</span>' in page
    assert '<span class="state rejected">Not read</span> HTTP 404' in page


def test_open_incidents_come_first_and_say_what_to_do(admin_client: Client, as_role: AsRole) -> None:
    Incident.objects.create(kind=Incident.Kind.QUOTA, ended_at=timezone.now())
    assert "Open incidents" not in text(admin_client)
    gone = Incident.objects.create(kind=Incident.Kind.WORKER, detail="host:1")

    page = text(admin_client)

    link = f'<a href="/admin/provisioning/incident/{gone.pk}/change/">A worker is gone</a>'
    assert page.index("Open incidents") < page.index(link) < page.index('id="sending"')
    assert "host:1" in page
    assert '<a href="/admin/provisioning/worker/">Ask whoever runs this installation to check it</a>' in page
    assert "Open incidents" in text(as_role("Viewer"))
    assert (
        'worker/">Ask whoever' in admin_client.get(f"/admin/provisioning/incident/{gone.pk}/change/").content.decode()
    )


def test_settings_are_shown_and_secrets_only_as_set_or_not(admin_client: Client, settings: Any) -> None:
    settings.CONSTANT_CONTACT_PASSWORD = "canary-partner-password"
    settings.OIDC_CLIENT_SECRET = ""
    settings.EMAIL_URL = {"EMAIL_HOST_PASSWORD": "canary-mail-password"}
    page = text(admin_client)
    assert "canary" not in page
    assert "<dt>CONSTANT_CONTACT_PASSWORD</dt><dd>set</dd>" in page
    assert "<dt>OIDC_CLIENT_SECRET</dt><dd>not set</dd>" in page
    assert f"<dt>CONSTANT_CONTACT_API</dt><dd>{settings.CONSTANT_CONTACT_API}</dd>" in page


def test_settings_are_shown_in_words(admin_client: Client, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["testserver", "signup.example.com"]
    settings.ABUSE_PROTECTION, settings.STAFF_TWO_FACTOR = True, False
    page = text(admin_client)
    assert "<dt>ALLOWED_HOSTS</dt><dd>testserver, signup.example.com</dd>" in page
    assert "<dt>ABUSE_PROTECTION</dt><dd>yes</dd>" in page
    assert "<dt>STAFF_TWO_FACTOR</dt><dd>no</dd>" in page


def test_no_setting_is_shown_that_may_hold_a_secret() -> None:
    shown = {name for names in SHOWN.values() for name in names}
    assert not shown & {*SECRETS, "SECRET_KEY", "SEALING_KEYS", "DATABASES"}
    assert not [name for name in shown if "PASSWORD" in name or "KEY" in name or "SECRET" in name]
    assert all(hasattr(configured, name) for name in (*shown, *SECRETS))


@pytest.mark.parametrize(("role", "may"), [("", False), ("Viewer", True)])
def test_it_needs_the_permission_to_see_the_gateway(as_role: AsRole, role: str, may: bool) -> None:
    assert as_role(role).get(PAGE).status_code == (200 if may else 403)


def test_the_number_of_queries_does_not_grow_with_the_workers(admin_client: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            admin_client.get(PAGE)
        return len(captured)

    queries()
    few = queries()
    for number in range(5):
        Worker.objects.create(name=f"host:{number}")
    assert queries() == few
