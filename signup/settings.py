"""The whole configuration, and the only reader of the environment.

Values come from the environment or from a `.env` file next to `manage.py` (the environment wins). Each can also be
given as `NAME_FILE`, the path of a file that holds it. An empty value counts as not set. An invalid value doesn't end
the import in a traceback: it is noted in `MISTAKES` and reported by `manage.py check` (see `signup.checks`).
"""

import os
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import environ
from csp.constants import NONCE
from django.core.management.utils import get_random_secret_key

from signup import dotenv, logs
from signup.casts import boolean, color, dsn, lengths, networks, number, one_of, require_quoted, time_zone, url, words
from signup.sqlite import PrivateConnection
from signup.version import VERSION as VERSION

BASE_DIR = Path(__file__).resolve().parent.parent

_lines, MISTAKES = dotenv.read_lines(BASE_DIR / ".env")
"""Name of a setting, or a line of `.env` → the error in it. Never the value itself, which may be a secret."""
environ.Env.read_env(StringIO(_lines))


def read(name: str, default: Any, cast: Callable[[str], Any] = str) -> Any:
    """Return the setting `name`, or `default` if it is not set or invalid. The latter is noted in `MISTAKES`."""
    try:
        # Not `environ.Env.str()`, which takes a leading $ for the name of another setting.
        file = os.environ.get(f"{name}_FILE")
        text = (dotenv.decode(Path(file).read_bytes()) if file else os.environ.get(name, "")).strip()
        return cast(text) if text else default
    except OSError as error:
        MISTAKES[name] = f"{name}_FILE cannot be read: {error.strerror}."
    except ValueError as error:
        MISTAKES[name] = f"{name} {str(error).removesuffix('.')}."
    return default


def database(text: str) -> dict[str, Any]:
    require_quoted(text)
    try:
        config: dict[str, Any] = environ.Env.db_url_config(text)
    except Exception:
        config = {}
    if config.get("ENGINE") not in {"django.db.backends.sqlite3", "django.db.backends.postgresql"}:
        raise ValueError("must look like sqlite:///db.sqlite3 or postgres://user:password@host:5432/name") from None
    return config


def email(text: str) -> dict[str, Any]:
    require_quoted(text)
    try:
        config: dict[str, Any] = environ.Env.email_url_config(text)
    except Exception:
        config = {}
    if not config or (config["EMAIL_BACKEND"].endswith("smtp.EmailBackend") and not config["EMAIL_HOST"]):
        raise ValueError("must look like smtp+tls://user:password@mail.example.com:587") from None
    return config


# The site

SECRET_KEY = read("SECRET_KEY", "")
if not SECRET_KEY:  # Django raises for an empty one before the system checks can report it.
    SECRET_KEY = get_random_secret_key()
    MISTAKES.setdefault("SECRET_KEY", "SECRET_KEY is missing: `python manage.py generate_secrets` prints a fresh one.")
DEBUG = read("DEBUG", False, boolean)
ALLOWED_HOSTS = read("ALLOWED_HOSTS", ["127.0.0.1", "localhost", "[::1]"] if DEBUG else [], words)
CSRF_TRUSTED_ORIGINS = read("CSRF_TRUSTED_ORIGINS", [], words)
TRUSTED_PROXIES = read("TRUSTED_PROXIES", [], networks)
ABUSE_PROTECTION = read("ABUSE_PROTECTION", True, boolean)
SECURE_SSL_REDIRECT = read("SECURE_SSL_REDIRECT", not DEBUG, boolean)

DATABASES = {"default": read("DATABASE_URL", database("sqlite:///db.sqlite3"), database)}
# A thread of the web server keeps its connection for many requests, and checks it before each. Workers keep none.
DATABASES["default"] = {"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True} | DATABASES["default"]
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["ENGINE"] = "signup.sqlite"
    # Writers queue up (IMMEDIATE, busy timeout) instead of failing. Readers never wait for a writer (WAL).
    DATABASES["default"].setdefault("OPTIONS", {}).update(
        timeout=20,
        transaction_mode="IMMEDIATE",
        init_command="PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        factory=PrivateConnection,
    )
    if DATABASES["default"]["NAME"] != ":memory:":
        DATABASES["default"]["NAME"] = str(BASE_DIR / DATABASES["default"]["NAME"])

if DATABASES["default"]["ENGINE"].endswith("postgresql"):
    # A cursor on the server needs one connection from beginning to end, which pgbouncer doesn't give.
    DATABASES["default"] |= {"ENGINE": "signup.postgresql", "DISABLE_SERVER_SIDE_CURSORS": True}
    # A connection that leads nowhere is noticed within 20 seconds. DATABASE_URL may say otherwise.
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 10,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 2,
        "tcp_user_timeout": 20_000,
    } | DATABASES["default"].get("OPTIONS", {})
STATEMENT_TIMEOUT = 15.0
"""Seconds that a statement of the web server or a worker may take on PostgreSQL; to wait for a lock, 60% of them."""

_MEMORY = "django.core.cache.backends.locmem.LocMemCache"
CACHES = {
    "default": {"BACKEND": _MEMORY},
    # Pages and brands, cached by each process. Not on a developer's machine, where templates are edited.
    "pages": {
        "BACKEND": "django.core.cache.backends.dummy.DummyCache" if DEBUG else _MEMORY,
        "LOCATION": "pages",
        "TIMEOUT": None,
    },
}

SEALING_KEYS = read("SEALING_KEYS", [], words)

# Constant Contact

CONSTANT_CONTACT_URLS = {"v2": "https://api.constantcontact.com", "v3": "https://api.cc.email"}
CONSTANT_CONTACT_API = read("CONSTANT_CONTACT_API", "v2", one_of(*CONSTANT_CONTACT_URLS))
CONSTANT_CONTACT_URL = read("CONSTANT_CONTACT_URL", CONSTANT_CONTACT_URLS[CONSTANT_CONTACT_API], url).rstrip("/")
CONSTANT_CONTACT_TOKEN_URL = read(
    "CONSTANT_CONTACT_TOKEN_URL", "https://authz.constantcontact.com/partners/oauth2/default/v1/token", url
)
CONSTANT_CONTACT_API_KEY = read("CONSTANT_CONTACT_API_KEY", "")
CONSTANT_CONTACT_USERNAME = read("CONSTANT_CONTACT_USERNAME", "")
CONSTANT_CONTACT_PASSWORD = read("CONSTANT_CONTACT_PASSWORD", "")
CONSTANT_CONTACT_OAUTH2_TOKEN = read("CONSTANT_CONTACT_OAUTH2_TOKEN", False, boolean)
CONSTANT_CONTACT_SINGLE_BILLING = read("CONSTANT_CONTACT_SINGLE_BILLING", False, boolean)
CONSTANT_CONTACT_MANAGED_SITE_OWNER = read("CONSTANT_CONTACT_MANAGED_SITE_OWNER", False, boolean)
CONSTANT_CONTACT_BILLING_LOCALE = read("CONSTANT_CONTACT_BILLING_LOCALE", "", one_of("en_US", "en_GB"))
CONSTANT_CONTACT_PARTNER_ACCOUNT_ID = read("CONSTANT_CONTACT_PARTNER_ACCOUNT_ID", False, boolean)
CONSTANT_CONTACT_TEST_ACCOUNTS = read("CONSTANT_CONTACT_TEST_ACCOUNTS", False, boolean)
CONSTANT_CONTACT_KOSOVO = read("CONSTANT_CONTACT_KOSOVO", False, boolean)
CONSTANT_CONTACT_MINIMUM_LENGTHS = read("CONSTANT_CONTACT_MINIMUM_LENGTHS", {}, lengths)
CONSTANT_CONTACT_LOGIN_URL = read("CONSTANT_CONTACT_LOGIN_URL", "https://login.constantcontact.com", url)
CONSTANT_CONTACT_IDP_PROVIDER = read("CONSTANT_CONTACT_IDP_PROVIDER", "")
CONSTANT_CONTACT_RATE = read("CONSTANT_CONTACT_RATE", 4.0, number(float, 0.1))
CONSTANT_CONTACT_DAILY_QUOTA = read("CONSTANT_CONTACT_DAILY_QUOTA", 10_000, number(int, 1))
CONSTANT_CONTACT_LIST_HOURS = read("CONSTANT_CONTACT_LIST_HOURS", 24.0, number(float, 0))
CONSTANT_CONTACT_TIMEOUT = read("CONSTANT_CONTACT_TIMEOUT", 30.0, number(float, 1))

PROVISION_THREADS = read("PROVISION_THREADS", 16, number(int, 1))
PROVISION_LEASE = read("PROVISION_LEASE", 60.0, number(float, 2))
PROVISION_RECHECK = read("PROVISION_RECHECK", 30.0, number(float, 0))

WEBHOOK_PRIVATE_NETWORKS = read("WEBHOOK_PRIVATE_NETWORKS", [], networks)
RETENTION_DAYS = read("RETENTION_DAYS", 0, number(int, 0))

# Single sign-on, and staff

OIDC_ISSUER = read("OIDC_ISSUER", "", url)
OIDC_CLIENT_ID = read("OIDC_CLIENT_ID", "")
OIDC_CLIENT_SECRET = read("OIDC_CLIENT_SECRET", "")
OIDC_ID_CLAIM = read("OIDC_ID_CLAIM", "sub")
OIDC_STAFF_CLAIM = read("OIDC_STAFF_CLAIM", "")
STAFF_TWO_FACTOR = read("STAFF_TWO_FACTOR", "optional", one_of("optional", "required"))
STAFF_SESSION_HOURS = read("STAFF_SESSION_HOURS", 12, number(int, 1))
STAFF_IDLE_MINUTES = read("STAFF_IDLE_MINUTES", 60, number(int, 1))
SIGNUP_LINK_KEY = read("SIGNUP_LINK_KEY", "")
SIGNUP_LINK_URL = read("SIGNUP_LINK_URL", "", url)

# Your brand

BRAND_NAME = read("BRAND_NAME", "")
BRAND_HEADLINE = read("BRAND_HEADLINE", "")
BRAND_COLOR = read("BRAND_COLOR", "", color)
BRAND_TRIAL_DAYS = read("BRAND_TRIAL_DAYS", 60, number(int, 0))
BRAND_SUPPORT_EMAIL = read("BRAND_SUPPORT_EMAIL", "")
BRAND_SUPPORT_URL = read("BRAND_SUPPORT_URL", "", url)
BRAND_TERMS_URL = read("BRAND_TERMS_URL", "", url)
BRAND_PRIVACY_URL = read("BRAND_PRIVACY_URL", "", url)

# Emails to customers, if there is a mail server

EMAIL_URL = read("EMAIL_URL", {}, email)
EMAIL_BACKEND = EMAIL_URL.get("EMAIL_BACKEND", "django.core.mail.backends.dummy.EmailBackend")
if EMAIL_BACKEND.endswith("smtp.EmailBackend"):
    EMAIL_BACKEND = "signup.smtp.EmailBackend"
EMAIL_HOST = EMAIL_URL.get("EMAIL_HOST", "")
EMAIL_PORT = EMAIL_URL.get("EMAIL_PORT", 25)
EMAIL_HOST_USER = EMAIL_URL.get("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = EMAIL_URL.get("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = EMAIL_URL.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = EMAIL_URL.get("EMAIL_USE_SSL", False)
EMAIL_FILE_PATH = EMAIL_URL.get("EMAIL_FILE_PATH", "")
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = read("DEFAULT_FROM_EMAIL", BRAND_SUPPORT_EMAIL)
BOUNCE_EMAIL = read("BOUNCE_EMAIL", "")

# Django

INSTALLED_APPS = [
    "signup",
    "provisioning",
    "provisioning.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_countries",
    "localflavor",
    "axes",
    "django_otp",
    "provisioning.apps.TwoFactorConfig",
]
MIDDLEWARE = [
    "signup.request_ids.add_request_id",
    "signup.middleware.read_to_the_end",
    "signup.telemetry.trace_requests",
    "signup.api.middleware.without_cookies",
    "signup.middleware.trust_proxies_only",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "signup.middleware.ContentSecurityPolicyMiddleware",
    "signup.middleware.add_policies",
    "signup.middleware.refuse_malformed",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "signup.middleware.save_pre_login_session",
    "signup.middleware.CustomersLanguageMiddleware",
    "signup.middleware.AllowedHostsMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "provisioning.admin_site.sessions.enforce_limits",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "signup.urls"
WSGI_APPLICATION = "signup.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "signup.brand.context_processors.brand",
                "signup.single_sign_on.context_processors.login_options",
            ],
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": name}
    for name in (
        "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "django.contrib.auth.password_validation.MinimumLengthValidator",
        "django.contrib.auth.password_validation.CommonPasswordValidator",
        "provisioning.admin_site.passwords.LocalWordsValidator",
    )
]
PASSWORD_RESET_TIMEOUT = 5 * 60 * 60  # Longer than the longest wait for another link; see `password_reset`.
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
# The handler blocks guesses at staff's passwords; its module explains how.
AXES_HANDLER = "provisioning.admin_site.throttling.ThrottlingHandler"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "signup.visitors.first_address"
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False
AXES_LOCKOUT_TEMPLATE = "admin/locked_out.html"
AXES_ENABLE_ADMIN = False
OTP_TOTP_ISSUER = "Constant Contact sign-up"
OTP_ADMIN_HIDE_SENSITIVE_DATA = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("fr", "Français"), ("es", "Español")]
LOCALE_PATHS = [BASE_DIR / "signup" / "locale"]  # Also holds the texts of the templates.
LANGUAGE_COOKIE_AGE = 365 * 24 * 60 * 60
TIME_ZONE = read("TIME_ZONE", "UTC", time_zone)
FORMAT_MODULE_PATH = "signup.formats"
USE_TZ = True
USE_I18N = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

DATA_UPLOAD_MAX_MEMORY_SIZE = 200_000
"""Bytes of a form, without files. Reading the 2.5 MB that Django allows would take long."""
FILE_UPLOAD_HANDLERS = ["signup.uploads.Beginnings"]

WHITENOISE_MIMETYPES = {".svg": "image/svg+xml; charset=utf-8"}

# HTTPS everywhere except on a developer's own machine

SECURE_HSTS_SECONDS = read("SECURE_HSTS_SECONDS", 0 if DEBUG else 365 * 24 * 60 * 60, number(int, 0))
SECURE_HSTS_INCLUDE_SUBDOMAINS = read("SECURE_HSTS_INCLUDE_SUBDOMAINS", not DEBUG, boolean)
SECURE_HSTS_PRELOAD = read("SECURE_HSTS_PRELOAD", False, boolean)
SILENCED_SYSTEM_CHECKS = ["security.W021"]  # It asks for preloading, which can't be undone for months.
PROBES = r"^(healthz|readyz|metrics)$"
SECURE_REDIRECT_EXEMPT = [PROBES, "^api/"]  # A redirect would hide that a key was sent unencrypted.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SESSION_ENGINE = "signup.sessions"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = not DEBUG
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
MESSAGE_STORAGE = "signup.cookies.Messages"
MESSAGES_COOKIE_NAME = "messages" if DEBUG else "__Host-messages"
PRE_LOGIN_COOKIE_NAME = "carried" if DEBUG else "__Host-carried"
OWN_ACCOUNTS_COOKIE_NAME = "accounts" if DEBUG else "__Host-accounts"
if not DEBUG:
    LANGUAGE_COOKIE_NAME = "__Host-language"
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_NAME = "__Host-csrftoken"
KNOWN_BROWSER_COOKIE_NAME = "known-browser" if DEBUG else "__Host-known-browser"
X_FRAME_OPTIONS = "DENY"
# Only our own files. No inline scripts, and no inline style except the one with the brand's colors.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {"default-src": ["'none'"]}
    | {f"{kind}-src": ["'self'"] for kind in ("connect", "img", "script")}
    | {"style-src": ["'self'", NONCE], "base-uri": ["'none'"], "form-action": ["'self'"], "frame-ancestors": ["'none'"]}
}
LOGIN_URL, LOGIN_REDIRECT_URL = "admin:login", "admin:index"
CSRF_FAILURE_VIEW = "signup.views.csrf_failure"

LOG_FORMAT = read("LOG_FORMAT", "text", one_of("text", "json"))
METRICS_TOKEN = read("METRICS_TOKEN", "")
SENTRY_DSN = read("SENTRY_DSN", "", dsn)
OTEL_EXPORTER_OTLP_ENDPOINT = read("OTEL_EXPORTER_OTLP_ENDPOINT", "", url)
LOGGING = logs.configuration(LOG_FORMAT)
