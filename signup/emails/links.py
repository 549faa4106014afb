"""The link in an email, which opens the account's page in any browser."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode, urljoin
from uuid import UUID

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner
from django.http import HttpRequest
from django.http.request import split_domain_port
from django.urls import reverse
from django.utils.crypto import salted_hmac

from provisioning import rules
from provisioning.hosts import named_hosts
from provisioning.models import Account
from signup import visitors
from signup.brand.models import brand_at

State = Account.State
LINK_LIFETIME = timedelta(days=3)
"""The minimum lifetime of a link. While an account needs a correction, its links don't expire."""
SALT = "signup.mails"  # An earlier name of this package: links that were sent must keep working.


def origin(request: HttpRequest) -> str:
    """Return the site's address, with a host name and a port that the partner has configured and no visitor made up."""
    host = visitors.host_name(request)
    named = named_hosts()
    if host in named or not named or brand_at(host).host:
        return f"{request.scheme}://{host}{_own_port(request)}/"
    return f"{request.scheme}://{named[0]}/"


def _own_port(request: HttpRequest) -> str:
    """Return the port of the request's address, like `:8000`, if the partner has configured it; otherwise nothing.

    A visitor can make up the port in `Host`. Ours is one in CSRF_TRUSTED_ORIGINS, or, without a proxy, the one that the
    web server listens on.
    """
    host, port = split_domain_port(request.get_host())
    is_listened_on = port == request.get_port() and not visitors.is_trusted(visitors.peer(request))
    is_ours = is_listened_on or f"{request.scheme}://{host}:{port}" in settings.CSRF_TRUSTED_ORIGINS
    return f":{port}" if port and is_ours else ""


def link_to(account: Account, origin: str) -> str:
    """Return a link that gives any browser that follows it access to the account's page.

    It works until the account gets another email address: the first one may be a stranger's, by a mistake.
    """
    token = TimestampSigner(salt=SALT).sign(f"{account.reference}.{mailbox_tag(account.email)}")
    return urljoin(origin, f"{reverse('reopen')}?{urlencode({'token': token})}")


def account_of(token: str) -> Account:
    """Return the account that a link leads to. Raises BadSignature (also if it is too old) or Account.DoesNotExist."""
    signer = TimestampSigner(salt=SALT)
    reference, _, tag = signer.unsign(token).partition(".")
    account = Account.objects.get(reference=UUID(reference))
    if account.state != State.REJECTED:
        signer.unsign(token, max_age=LINK_LIFETIME)
    if tag and not has_mailbox(account, tag):  # Links of earlier releases have no tag.
        raise BadSignature
    return account


def has_mailbox(account: Account, tag: str) -> bool:
    """Whether the account still has the mailbox with this tag. Once it is erased, all may see that it was."""
    return bool(account.erased_at) or tag == mailbox_tag(account.email)


def mailbox_tag(email: str) -> str:
    """Return a text that tells the mailbox of an address from others without revealing it."""
    return salted_hmac(SALT, rules.mailbox(email), algorithm="sha256").hexdigest()[:16]
