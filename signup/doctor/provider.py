"""Checks of Constant Contact's side: its address, its clock, the credentials, the quota, and the account list."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, getproxies, urlopen

from django.conf import settings
from django.utils import timezone

from provisioning import gateway
from provisioning.services import inspection
from signup.doctor.findings import Finding, failure, ok, reason, warning

NOT_HERE = "only the worker has it"
"""The credentials of containers that have none (compose.yaml). Sent to Constant Contact, they would lock the login."""
SUBJECT = "Connection to Constant Contact"
TIMEOUT = 10
NO_ANSWER = (
    "If it lasts, ask Constant Contact. Nothing here has to change: workers retry, and no account is created twice."
)
BLOCKED = "Check CONSTANT_CONTACT_URL, the firewall, and HTTPS_PROXY if you need one."
NOT_CONNECTED = "Fix the connection: the line above says what is wrong with it. No credentials were sent."
MUCH_OFF, FAR_OFF = timedelta(seconds=30), timedelta(minutes=5)


class NoAuthorities(Exception):
    """REQUESTS_CA_BUNDLE doesn't name a file with CA certificates."""


def check_connection() -> Iterator[Finding]:
    """Check DNS, TLS, and the clock, by one request without credentials."""
    url = settings.CONSTANT_CONTACT_URL
    host = urlsplit(url).hostname or ""
    try:
        if urlsplit(url).scheme not in getproxies():  # Otherwise, the proxy looks names up.
            socket.getaddrinfo(host, None)
        headers = _headers(url)
    except NoAuthorities as error:
        yield failure(SUBJECT, str(error), "Fix REQUESTS_CA_BUNDLE, or the file's permissions.")
    except socket.gaierror:
        yield failure(SUBJECT, f"{host} has no address.", "Check CONSTANT_CONTACT_URL and this machine's DNS.")
    except URLError as error:
        if isinstance(error.reason, ssl.SSLError):
            fix = (
                "Check this machine's clock. If a proxy intercepts TLS, let REQUESTS_CA_BUNDLE name a file with its CA."
            )
            yield failure(SUBJECT, f"The certificate of {host} is not accepted{reason(error.reason)}.", fix)
        else:
            yield failure(SUBJECT, f"{host} can't be reached.", BLOCKED)
    except TimeoutError:
        yield failure(SUBJECT, f"{host} can be reached, but does not answer in time.", NO_ANSWER)
    except OSError:
        yield failure(SUBJECT, f"{host} can't be reached.", BLOCKED)
    else:
        yield ok(SUBJECT, f"Connected to {host}; its certificate is valid.")
        yield from _compare_clocks(headers.get("Date", ""))


def _headers(url: str) -> dict[str, str]:
    """Return the headers of an answer. What the calls to Constant Contact trust, and nothing else, is trusted here."""
    try:
        with urlopen(Request(url, method="HEAD"), timeout=TIMEOUT, context=_trust()) as response:  # noqa: S310  # The settings' checks allow http(s) only.
            return dict(response.headers)
    except HTTPError as answer:
        with answer:
            return dict(answer.headers)


def _trust() -> ssl.SSLContext:
    authorities = Path(inspection.trusted_authorities())
    try:
        if authorities.is_dir():
            return ssl.create_default_context(capath=authorities)
        return ssl.create_default_context(cafile=authorities)
    except OSError:
        raise NoAuthorities(f"CA certificates can't be read from {authorities}.") from None


def _compare_clocks(date: str) -> Iterator[Finding]:
    try:
        right = parsedate_to_datetime(date)
    except ValueError:
        text = "Constant Contact's answer has no Date header to compare with."
        yield warning("Clock", text, "Check that NTP is on.")
        return
    by_database = "Turn on NTP on the database's machine: quotas are counted by UTC days."
    yield _compare_clock("The database's", gateway.now() - right, by_database)
    by_machine = "Turn on NTP here: codes from authenticator apps, links in emails, and sessions depend on it."
    yield _compare_clock("This machine's", timezone.now() - right, by_machine)


def _compare_clock(whose: str, difference: timedelta, fix: str) -> Finding:
    off = abs(difference)
    text = f"{whose} clock is {off.total_seconds():.0f} seconds off Constant Contact's."
    if off > FAR_OFF:
        return failure("Clock", text, fix)
    return warning("Clock", text, fix) if off > MUCH_OFF else ok("Clock", text)


def check_credentials() -> Iterator[Finding]:
    """Read one page of the account list, as one call through the gateway."""
    if NOT_HERE in (settings.CONSTANT_CONTACT_API_KEY, settings.CONSTANT_CONTACT_PASSWORD):
        fix = "Run the doctor in the worker's container: docker compose exec worker python manage.py doctor"
        yield warning("Credentials", "They are not in this container, so they were not checked.", fix)
        return
    if pause := gateway.current_pause():
        yield _unchecked(pause)
        return
    answer = inspection.read_list()
    if answer.is_list:
        yield ok("Credentials", f"Accepted: your account list was read ({answer.entries} on its first page).")
    else:
        names = "Check CONSTANT_CONTACT_API_KEY, CONSTANT_CONTACT_USERNAME, and CONSTANT_CONTACT_PASSWORD."
        fix = names if answer.is_answered else NO_ANSWER if answer.is_sent else NOT_CONNECTED
        yield failure("Credentials", f"The list of your accounts could not be read: {answer.reason}", fix)


def _unchecked(pause: gateway.Pause) -> Finding:
    """Say why no call was made, and what ends it: staff resume a stop, and a pause ends automatically."""
    if pause.until:
        text = f"Not checked, because sending is paused until {pause.until:%Y-%m-%d %H:%M} UTC: {pause.reason}"
        return warning("Credentials", text, "You don't need to do anything. Sending resumes automatically.")
    fix = "Fix the cause, restart the workers, run `python manage.py gateway resume`, and then the doctor again."
    return failure("Credentials", f"Not checked, because sending is stopped: {pause.reason}", fix)


def check_quota() -> Iterator[Finding]:
    used, quota = gateway.calls_today(), settings.CONSTANT_CONTACT_DAILY_QUOTA
    text = f"{used} of {quota} calls are used today (UTC)."
    if gateway.is_down_to_reserve():
        yield warning("Quota", text, "If this happens often, ask Constant Contact for a higher quota.")
    else:
        yield ok("Quota", text)


def check_calibration() -> Iterator[Finding]:
    if settings.CONSTANT_CONTACT_API == "v2":
        yield ok("Account list", "With v2, it shows usernames.")
    elif gateway.state().list_names:
        yield ok("Account list", f"Names in your account list: {gateway.state().get_list_names_display()}.")
    else:
        fix = "A worker learns it minutes after the first account. To create one now: python manage.py doctor --create"
        yield warning("Account list", "It is not known yet whether your account list shows usernames.", fix)
