"""Metrics: what they say, who may read them, and whether Prometheus and its alerts understand them."""

import re
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.cache import cache
from django.db import OperationalError, connection
from django.db.models.functions import Now
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from provisioning import gateway
from provisioning.models import Account, Attempt, Gateway, Worker
from tests.checkout import ROOT
from tests.installed import found
from tests.provisioning.work import State, account_in

pytestmark = pytest.mark.django_db

ALERTS = ROOT / "deploy" / "alerts.yml"


TOKEN = {"authorization": "Bearer canary-metrics"}


@pytest.fixture(autouse=True)
def nothing_cached(settings: Settings) -> None:
    settings.METRICS_TOKEN = "canary-metrics"
    cache.clear()


def scraped(client: Client) -> dict[str, float]:
    """Scrape as Prometheus does, and return each sample by its name and label."""
    response = client.get("/metrics", headers={"host": "10.0.0.7:8000", **TOKEN})
    assert response.status_code == 200
    samples = [each for family in text_string_to_metric_families(response.content.decode()) for each in family.samples]
    return {" ".join([sample.name, *sample.labels.values()]): sample.value for sample in samples}


def call_for(account: Account, seconds: float) -> None:
    call = Attempt.objects.create(account=account, kind=Attempt.Kind.CREATE, username="anna")
    call.complete(outcome=Attempt.Outcome.UNKNOWN, duration=timedelta(seconds=seconds))


def test_an_installation_without_accounts_has_all_its_states_at_zero(client: Client) -> None:
    read = scraped(client)

    assert {read[f"signup_accounts {state}"] for state in State} == {0}
    assert read["signup_gateway open"] == 1
    assert read["signup_workers working"] == 0


def test_accounts_calls_and_workers_are_counted(client: Client) -> None:
    account_in(State.CREATED, username="anna-2")
    waiting = account_in(State.QUEUED, due_at=Now() - timedelta(seconds=90))
    for seconds in (1, 3):
        call_for(waiting, seconds)
    Worker.objects.create(name="host:1", problem="The database is read-only.")
    gateway.state()
    Gateway.objects.update(day=gateway.now().date(), calls=100)
    gateway.stop("401")

    read = scraped(client)

    assert (read["signup_accounts created"], read["signup_accounts queued"]) == (1, 1)
    assert 90 <= read["signup_oldest_due_seconds"] < 150
    assert (read["signup_calls_recent unknown"], read["signup_calls_recent created"]) == (2, 0)
    assert read["signup_call_seconds 50"] == 2
    assert read["signup_quota_left"] == 9900
    assert read["signup_gateway stopped"] == 1
    assert read["signup_workers blocked"] == 1


def test_a_token_is_required(client: Client) -> None:
    for header, status in (("Bearer canary-metrics", 200), ("Bearer wrong", 403), ("canary-metrics", 403), ("", 403)):
        assert client.get("/metrics", headers={"authorization": header}).status_code == status


def test_without_a_token_nobody_may_read_except_on_a_developers_machine(client: Client, settings: Settings) -> None:
    """A request from this machine may be a stranger's, forwarded by a proxy that doesn't say so."""
    settings.METRICS_TOKEN = ""
    for header in ("", "Bearer ", "Bearer"):
        assert client.get("/metrics", headers={"authorization": header}).status_code == 403
    settings.DEBUG = True
    assert client.get("/metrics").status_code == 200


def test_without_the_database_there_are_no_numbers(client: Client) -> None:
    def refuse(*_: object) -> None:
        raise OperationalError

    with connection.execute_wrapper(refuse):
        assert client.get("/metrics", headers=TOKEN).status_code == 503


def test_every_alert_is_valid_and_about_metrics_that_exist(client: Client) -> None:
    account_in(State.QUEUED)
    subprocess.run([found("promtool", "prometheus"), "check", "rules", ALERTS], check=True, capture_output=True)

    named = set(re.findall(r"signup_\w+", ALERTS.read_text()))

    assert named <= {name.partition(" ")[0] for name in scraped(client)}


LONG_OUTAGE = """
rule_files: [{alerts}]
tests:
  - interval: 1m
    input_series:
      - {{series: 'up{{job="signup"}}', values: 1x30}}
      - {{series: 'signup_oldest_due_seconds{{job="signup"}}', values: 0+60x30}}
      - {{series: 'signup_gateway{{job="signup", state="paused"}}', values: 1x30}}
      - {{series: 'signup_gateway{{job="signup", state="stopped"}}', values: 0x30}}
    promql_expr_test:
      - expr: ALERTS{{alertstate="firing"}}
        eval_time: 20m
        exp_samples:
          - labels: ALERTS{{alertname="SignupQueueOld", alertstate="firing", job="signup", severity="page"}}
            value: 1
"""


def test_a_long_outage_of_constant_contact_alerts_somebody(tmp_path: Path) -> None:
    """The breaker lets one call at a time through, so the share of failed calls says nothing."""
    file = tmp_path / "test.yml"
    file.write_text(LONG_OUTAGE.format(alerts=ALERTS))

    done = subprocess.run([found("promtool", "prometheus"), "test", "rules", file], capture_output=True, check=False)

    assert done.returncode == 0, done.stdout.decode()


def test_prometheus_accepts_the_metrics_without_warnings(client: Client) -> None:
    call_for(account_in(State.QUEUED), 1)

    checked = subprocess.run(
        [found("promtool", "prometheus"), "check", "metrics"],
        input=client.get("/metrics", headers=TOKEN).content,
        capture_output=True,
        check=False,
    )

    assert (checked.returncode, checked.stderr) == (0, b"")
