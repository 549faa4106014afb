"""`manage.py doctor`: check an installation before it goes live, and after each deployment."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import Error

from provisioning.database import limit_statements
from signup.doctor import Finding, Level, examine, keep

STATUS = {Level.OK: 0, Level.WARNING: 1, Level.FAILURE: 2}
SIGNS = {Level.OK: "ok     ", Level.WARNING: "warning", Level.FAILURE: "FAILURE"}


class Command(BaseCommand):
    help = "Check this installation from end to end. Exit status: 0 if all is well, 1 for warnings, 2 for failures."
    requires_system_checks = []  # They are part of the report.

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", default="", help="the page's public address (default: the first of ALLOWED_HOSTS)")
        parser.add_argument("--email", default="", metavar="ADDRESS", help="send a test message to this address")
        parser.add_argument("--create", action="store_true", help="create a real test account, and find it in the list")
        parser.add_argument("--json", action="store_true", help="print the findings as JSON")

    def handle(self, *, url: str, email: str, create: bool, json: bool, **options: Any) -> None:
        limit_statements()
        findings = []
        for finding in examine(url=url, email=email, create=create):
            findings.append(finding)
            if not json:
                self.show(finding)
        if json:
            self.stdout.write(_as_json(findings))
        try:
            keep(findings)
        except Error:
            self.stderr.write("The result could not be stored for the admin.")
        if status := max(STATUS[finding.level] for finding in findings):
            sys.exit(status)

    def show(self, finding: Finding) -> None:
        self.stdout.write(f"{SIGNS[finding.level]}  {finding.subject}: {finding.text}")
        if finding.fix:
            self.stdout.write(f"         → {finding.fix}")


def _as_json(findings: list[Finding]) -> str:
    return json.dumps([asdict(finding) for finding in findings], indent=2)
