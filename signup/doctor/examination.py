"""All checks, one after another. A check that fails unexpectedly is a finding too, and stops no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict

from django.db import Error

from provisioning.database import describe
from provisioning.hosts import named_hosts
from signup.doctor import installation, mail_server, provider, public_address, trial
from signup.doctor.findings import Finding, failure
from signup.doctor.models import Diagnosis

FIX = "Fix what failed above first. If nothing did, run the doctor again, and report it if it fails again."


def examine(*, url: str = "", email: str = "", create: bool = False) -> Iterator[Finding]:
    """Check everything. `url` is the page's public address; `email` gets a test message; `create` makes an account."""
    hosts = named_hosts()
    public = url or (f"https://{hosts[0]}" if hosts else "")
    checks: dict[str, Callable[[], Iterable[Finding]]] = {
        "Settings": installation.check_settings,
        "Database": installation.check_database,
        "Brands": installation.check_brands,
        "Sealing keys": installation.check_sealing_keys,
        "Workers": installation.check_workers,
        "Connection to Constant Contact": provider.check_connection,
        "Credentials": provider.check_credentials,
        "Quota": provider.check_quota,
        "Account list": provider.check_calibration,
        "Email": lambda: mail_server.check(email),
        "Reverse proxy": lambda: public_address.check(public),
    }
    if create:
        checks["Test account"] = trial.create_account
    for subject, check in checks.items():
        try:
            yield from check()
        except Error as error:
            yield failure(subject, f"Not checked. {describe(error)}", "Fix the database first.")
        except Exception as error:
            yield failure(subject, f"The check failed: {type(error).__name__}.", FIX)


def keep(findings: Iterable[Finding]) -> None:
    """Store the findings as the last result, for the admin."""
    Diagnosis.objects.all().delete()
    Diagnosis.objects.create(findings=[asdict(finding) for finding in findings])
