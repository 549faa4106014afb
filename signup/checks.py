"""System checks of the configuration, for `manage.py check` and before anything starts.

No message holds the value of a setting, because it may be a secret.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core import checks

from provisioning import rules
from provisioning.networks import read_address
from provisioning.rules import APIS
from signup import telemetry

MARGIN = 10
"""Seconds by which a worker's lease must outlast a call, so that the worker can record the result."""

FEW_CHARACTERS = 5
"""A secret of fewer different characters is not random."""

_WHERE = "Set it in the environment or in .env; docs/configuration.md explains each setting."
_SECRETS = "`python manage.py generate_secrets` prints new ones, as lines for .env or the environment."
_PARTNER = "Constant Contact issues it to partners. To try the page without it, run `make run`, which uses a sandbox."
_HOSTS = "List the host names of your page, separated by commas, like signup.example.com,www.example.com."


def check_configuration(**options: Any) -> list[checks.CheckMessage]:
    """Return every mistake in the settings."""
    return [
        *_unreadable(),
        *_missing(),
        *_hosts(),
        *_sealing_keys(),
        *_guessable(),
        *_provider(),
        *_lease(),
        *_minimum_lengths(),
        *_redirect(),
        *_sender(),
        *_single_sign_on(),
        *_openid(),
        *_links(),
        *_telemetry(),
    ]


def _unreadable() -> Iterator[checks.CheckMessage]:
    for mistake in settings.MISTAKES.values():
        yield checks.Error(mistake, hint=_WHERE, id="signup.E001")


def _missing() -> Iterator[checks.CheckMessage]:
    for number, name, hint in (
        (2, "SEALING_KEYS", _SECRETS),
        (3, "ALLOWED_HOSTS", _HOSTS),
        (4, "CONSTANT_CONTACT_API_KEY", _PARTNER),
        (5, "CONSTANT_CONTACT_USERNAME", _PARTNER),
        (6, "CONSTANT_CONTACT_PASSWORD", _PARTNER),
    ):
        if not getattr(settings, name) and name not in settings.MISTAKES:
            yield checks.Error(f"{name} is missing.", hint=hint, id=f"signup.E{number:03}")


def _hosts() -> Iterator[checks.CheckMessage]:
    if any("/" in host or (":" in host and not host.endswith("]")) for host in settings.ALLOWED_HOSTS):
        yield checks.Error(
            "ALLOWED_HOSTS may contain only host names, without https:// or a port.", hint=_HOSTS, id="signup.E008"
        )
    if "*" in settings.ALLOWED_HOSTS:
        yield checks.Error(
            "ALLOWED_HOSTS accepts every host name, even one that an attacker made up.", hint=_HOSTS, id="signup.E020"
        )


def _sealing_keys() -> Iterator[checks.CheckMessage]:
    for position, key in enumerate(settings.SEALING_KEYS, start=1):
        try:
            Fernet(key)
        except ValueError:
            yield checks.Error(f"Key {position} of SEALING_KEYS is not a Fernet key.", hint=_SECRETS, id="signup.E009")


def _guessable() -> Iterator[checks.CheckMessage]:
    if settings.DEBUG:
        return
    for name, least, source in (
        ("SECRET_KEY", 32, f". {_SECRETS}"),
        ("METRICS_TOKEN", 20, ": `openssl rand -hex 32` prints some."),
    ):
        value = getattr(settings, name)
        if value and name not in settings.MISTAKES and (len(value) < least or len(set(value)) < FEW_CHARACTERS):
            yield checks.Error(
                f"{name} can be guessed.",
                hint=f"Use {least} or more random characters{source}",
                id="signup.E023",
            )


def _provider() -> Iterator[checks.CheckMessage]:
    for name in ("CONSTANT_CONTACT_URL", "CONSTANT_CONTACT_TOKEN_URL", "OIDC_ISSUER", "SIGNUP_LINK_URL"):
        address = urlsplit(getattr(settings, name))
        if address.scheme == "http" and not _is_loopback(address.hostname or ""):
            yield checks.Error(
                f"{name} would send secrets over the network unencrypted.",
                hint="Use https://. http:// is only for a sandbox on this machine.",
                id="signup.E010",
            )


def _is_loopback(host: str) -> bool:
    try:
        return read_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _lease() -> Iterator[checks.CheckMessage]:
    least = settings.CONSTANT_CONTACT_TIMEOUT + MARGIN
    if least > settings.PROVISION_LEASE:
        yield checks.Error(
            "PROVISION_LEASE is too short: a worker would lose an account while its call is still in progress.",
            hint=f"Make it at least {least:g} (CONSTANT_CONTACT_TIMEOUT + {MARGIN}), or shorten the timeout.",
            id="signup.E011",
        )


def _minimum_lengths() -> Iterator[checks.CheckMessage]:
    for name, length in settings.CONSTANT_CONTACT_MINIMUM_LENGTHS.items():
        rule = APIS[settings.CONSTANT_CONTACT_API].get(name)
        if rule is None or rule.kind is not str or not length <= rule.max_length:
            yield checks.Error(
                f"CONSTANT_CONTACT_MINIMUM_LENGTHS requires {length} characters for {name}, which is impossible.",
                hint="Name a property like username or password, and a length below its maximum.",
                id="signup.E013",
            )


def _redirect() -> Iterator[checks.CheckMessage]:
    if settings.SECURE_SSL_REDIRECT and not settings.TRUSTED_PROXIES:
        yield checks.Warning(
            "Every page would redirect to itself forever: no proxy is trusted to say that a visitor came by HTTPS.",
            hint="List the addresses of your reverse proxy in TRUSTED_PROXIES, or turn SECURE_SSL_REDIRECT off.",
            id="signup.W001",
        )


def check_proxy(**options: Any) -> list[checks.CheckMessage]:
    """Check, for the web server only, that a proxy protects it from slow connections."""
    if settings.DEBUG or settings.TRUSTED_PROXIES:
        return []
    return [
        checks.Warning(
            "No reverse proxy is configured. Without one, a few slow connections can freeze the page.",
            hint="Use one that buffers, such as deploy/nginx.conf, and list its address in TRUSTED_PROXIES.",
            id="signup.W004",
        )
    ]


def _sender() -> Iterator[checks.CheckMessage]:
    if settings.EMAIL_URL and not settings.DEFAULT_FROM_EMAIL:
        yield checks.Error(
            "Emails would have no sender.",
            hint="Set DEFAULT_FROM_EMAIL to your own address, or leave EMAIL_URL empty to send no emails.",
            id="signup.E014",
        )


def _single_sign_on() -> Iterator[checks.CheckMessage]:
    provider = settings.CONSTANT_CONTACT_IDP_PROVIDER
    ways = [name for name in ("OIDC_ISSUER", "SIGNUP_LINK_KEY") if getattr(settings, name)]
    if not provider:
        if ways and not settings.OIDC_STAFF_CLAIM:
            yield checks.Warning(
                f"{ways[0]} has no effect, because customers choose passwords.",
                hint="For customers, set CONSTANT_CONTACT_IDP_PROVIDER. For staff, set OIDC_STAFF_CLAIM.",
                id="signup.W002",
            )
        return
    if len(provider) > rules.active()["idp_provider"].max_length:
        yield checks.Error(
            "CONSTANT_CONTACT_IDP_PROVIDER is longer than Constant Contact's API allows.",
            hint="This ID identifies you as an identity provider at Constant Contact. "
            "Ask your account manager for the one for your API version.",
            id="signup.E015",
        )
    if not ways:
        yield checks.Error(
            "Nobody could sign up: single sign-on is on, but customers have no way to log in.",
            hint="Set OIDC_ISSUER for logins at your identity provider, SIGNUP_LINK_KEY for signed links, or both.",
            id="signup.E016",
        )
    if urlsplit(settings.CONSTANT_CONTACT_LOGIN_URL).hostname == "login.constantcontact.com":
        yield checks.Warning(
            "CONSTANT_CONTACT_LOGIN_URL leads to a login with a password, but with single sign-on there is none.",
            hint="Set it to the address where your identity provider logs customers in to Constant Contact.",
            id="signup.W003",
        )


def _openid() -> Iterator[checks.CheckMessage]:
    names = ("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET")
    wanted = [name for name in (*names, "OIDC_STAFF_CLAIM") if getattr(settings, name)]
    missing = [name for name in names if not getattr(settings, name) and name not in settings.MISTAKES]
    if wanted and missing:
        yield checks.Error(
            f"{', '.join(missing)} is missing, and {wanted[0]} doesn't work without it.",
            hint="Your identity provider gives you issuer, client ID, and secret when you register the page with it.",
            id="signup.E017",
        )


def _links() -> Iterator[checks.CheckMessage]:
    if settings.SIGNUP_LINK_URL and not settings.SIGNUP_LINK_KEY:
        yield checks.Error(
            "SIGNUP_LINK_URL doesn't work without SIGNUP_LINK_KEY: a forged link would look like a real one.",
            hint="Set SIGNUP_LINK_KEY to the key that your system signs the links with.",
            id="signup.E018",
        )
    if settings.SIGNUP_LINK_KEY:
        from signup.single_sign_on import link  # Imports models, which are not loaded yet when this module is.

        try:
            link.key()
        except ValueError:
            yield checks.Error(
                "SIGNUP_LINK_KEY is neither a secret of 32 or more characters nor a public key.",
                hint="Use a longer secret, or set SIGNUP_LINK_KEY_FILE to a PEM public key (RSA 2048 or P-256).",
                id="signup.E019",
            )


def _telemetry() -> Iterator[checks.CheckMessage]:
    for name in telemetry.missing():
        _package, extra = telemetry.PACKAGES[name]
        yield checks.Error(
            f"{name} is set, but the packages of the extra `{extra}` are not installed.",
            hint="Install requirements-extras.txt in place of requirements.txt, or leave the setting empty."
            " docs/operations.md explains it.",
            id="signup.E021",
        )
    if settings.SENTRY_DSN and not urlsplit(settings.SENTRY_DSN).username:
        yield checks.Error(
            "SENTRY_DSN has no key.",
            hint="Copy it from your project's settings in Sentry: https://key@host/number.",
            id="signup.E022",
        )


def check_encryption(**options: Any) -> list[checks.CheckMessage]:
    """Warn where personal data may go over the network in plain text."""
    database = settings.DATABASES["default"]
    is_email_plain = not (settings.EMAIL_USE_TLS or settings.EMAIL_USE_SSL)
    is_database_plain = database["ENGINE"].endswith("postgresql") and "sslmode" not in database.get("OPTIONS", {})
    return [
        checks.Warning(f"{name} may send personal data over the network unencrypted.", hint=hint, id="signup.W006")
        for name, host, is_plain, hint in (
            ("EMAIL_URL", settings.EMAIL_HOST, is_email_plain, "Use smtp+tls:// or smtp+ssl://."),
            (
                "DATABASE_URL",
                database.get("HOST", ""),
                is_database_plain,
                "Add ?sslmode=verify-full, or ?sslmode=disable on a private network.",
            ),
        )
        if is_plain and host and not host.startswith("/") and not _is_loopback(host)
    ]


def check_files(**options: Any) -> list[checks.CheckMessage]:
    """Warn about files with personal data or secrets that other users of this machine can read or change."""
    database = settings.DATABASES["default"]
    name = database["NAME"] if database["ENGINE"].endswith("sqlite") else ""
    paths = [Path(f"{name}{suffix}") for suffix in ("", "-wal", "-shm") if name not in ("", ":memory:")]
    paths += [settings.BASE_DIR / "sandbox.jsonl", settings.BASE_DIR / ".env"]
    return [
        checks.Warning(
            f"Other users of this machine can read or change {path.name}.",
            hint=f"Restrict it: chmod 600 {path.name}",
            id="signup.W005",
        )
        for path in paths
        if path.exists() and path.stat().st_mode & 0o077
    ]


def check_static_files(**options: Any) -> list[checks.CheckMessage]:
    """Check, for the web server only, that static files are collected. Without them, every page would fail.

    A new release may have more of them than those that were collected before.
    """
    if settings.DEBUG or _all_static_files() <= _collected_static_files():
        return []
    return [
        checks.Error("Static files are not collected.", hint="Run `python manage.py collectstatic`.", id="signup.E012")
    ]


def _all_static_files() -> set[str]:
    ignored = apps.get_app_config("staticfiles").ignore_patterns  # type: ignore[attr-defined]  # not in the stubs
    return {name for finder in get_finders() for name, _storage in finder.list(ignored)}


def _collected_static_files() -> set[str]:
    try:
        return set(json.loads((settings.STATIC_ROOT / "staticfiles.json").read_text())["paths"])
    except FileNotFoundError:
        return set()
