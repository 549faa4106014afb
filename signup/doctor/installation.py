"""Checks of what is on this side: settings, database, keys, and workers."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.core import checks
from django.db import Error

from provisioning import services
from provisioning.database import describe
from provisioning.models import Worker
from provisioning.sealed import CannotOpen
from signup import health
from signup.brand.models import unserved_hosts
from signup.doctor.findings import Finding, failure, ok, warning

LOOK_UP = "docs/operations.md has this line, and says what to do."


def check_settings() -> Iterator[Finding]:
    """Report what `manage.py check --deploy` does, which includes static files and file permissions."""
    messages = [each for each in checks.run_checks(include_deployment_checks=True) if not each.is_silenced()]
    for message in messages:
        report = failure if message.level >= checks.ERROR else warning
        yield report("Settings", f"{message.msg} ({message.id})", message.hint or "")
    if not messages:
        yield ok("Settings", "All settings are valid.")


def check_database() -> Iterator[Finding]:
    try:
        if health.is_migrated():
            health.try_to_store()
            yield ok("Database", "All migrations are applied, and a sign-up can be stored.")
        else:
            yield failure("Database", "Migrations are missing.", "Run: python manage.py migrate")
    except Error as error:
        yield failure("Database", describe(error), LOOK_UP)


def check_brands() -> Iterator[Finding]:
    for host in unserved_hosts():
        text = f"{host} is the host name of a brand, but not in ALLOWED_HOSTS."
        yield failure("Brands", text, "Add it to ALLOWED_HOSTS, or correct the brand in the admin.")


def check_sealing_keys() -> Iterator[Finding]:
    try:
        secrets = services.open_newest()
    except CannotOpen:
        fix = "Add the key that was used last to the end of SEALING_KEYS."
        yield failure("Sealing keys", "No key in SEALING_KEYS opens the newest sealed secret.", fix)
    else:
        yield ok("Sealing keys", "They open the newest secrets." if secrets else "Nothing is sealed yet.")


def check_workers() -> Iterator[Finding]:
    workers = list(Worker.objects.alive())
    blocked = [worker for worker in workers if worker.problem]
    if not workers:
        yield failure("Workers", "No worker is running.", "Start one: python manage.py provision (or serve)")
    for worker in blocked:
        yield failure("Workers", f"{worker.name} is blocked: {worker.problem}", LOOK_UP)
    for worker in workers:
        if worker.version != settings.VERSION:
            text = f"{worker.name} runs version {worker.version or 'unknown'}, and this is {settings.VERSION}."
            yield warning("Workers", text, "Finish the upgrade: install this release there, and restart the worker.")
    if workers and not blocked:
        yield ok("Workers", f"{len(workers)} running.")
