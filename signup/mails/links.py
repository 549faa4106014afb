"""The link in an email, which opens the account's page in any browser."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode, urljoin
from uuid import UUID

from django.core.signing import TimestampSigner
from django.http import HttpRequest
from django.urls import reverse

from provisioning.models import Account
from signup import visitors
from signup.brand.models import brand_at
from signup.hosts import named_hosts

State = Account.State
LINK_LIFETIME = timedelta(days=3)
"""The minimum lifetime of a link. While an account needs a correction, its links don't expire."""
SALT = "signup.mails"


def origin(request: HttpRequest) -> str:
    """Return the site's address with a host name that the partner has configured, never one that a visitor made up."""
    host = visitors.host_name(request)
    named = named_hosts()
    if host in named or not named or brand_at(host).host:
        return request.build_absolute_uri("/")
    return f"{request.scheme}://{named[0]}/"


def link_to(account: Account, origin: str) -> str:
    """Return a link that gives any browser that follows it access to the account's page."""
    token = TimestampSigner(salt=SALT).sign(str(account.reference))
    return urljoin(origin, f"{reverse('reopen')}?{urlencode({'token': token})}")


def read(token: str) -> Account:
    """Return the account that a link leads to. Raises BadSignature (also if it is too old) or Account.DoesNotExist."""
    signer = TimestampSigner(salt=SALT)
    account = Account.objects.get(reference=UUID(signer.unsign(token)))
    if account.state != State.REJECTED:
        signer.unsign(token, max_age=LINK_LIFETIME)
    return account
