"""Mailboxes: recognizing addresses of the same one, and mistyped addresses."""

from __future__ import annotations

import re
from difflib import get_close_matches

from provisioning.rules import normalization
from provisioning.rules.rule import MAX_INPUT

SAME_PROVIDER = {
    "googlemail.com": "gmail.com",
    **dict.fromkeys(("me.com", "mac.com"), "icloud.com"),
    **dict.fromkeys(("protonmail.com", "pm.me"), "proton.me"),
}
"""Domain → another domain of the same provider, at which each name is the same mailbox."""

IGNORED = {"gmail.com": ".", "proton.me": ".-_"}
"""Domain → the signs in a name that its provider ignores. Google documents it
(https://support.google.com/mail/answer/7436150), and Proton says so to those who ask."""

DOMAINS = tuple(
    """
    gmail.com yahoo.com hotmail.com outlook.com icloud.com aol.com live.com msn.com me.com mac.com ymail.com
    mail.com email.com gmx.com gmx.net gmx.de web.de proton.me hey.com protonmail.com fastmail.com zoho.com
    yandex.com googlemail.com rocketmail.com comcast.net verizon.net att.net sbcglobal.net bellsouth.net cox.net
    charter.net earthlink.net juno.com optonline.net shaw.ca rogers.com sympatico.ca telus.net bell.net videotron.ca
    yahoo.ca hotmail.ca live.ca outlook.ca yahoo.co.uk hotmail.co.uk outlook.co.uk live.co.uk btinternet.com sky.com
    yahoo.fr hotmail.fr outlook.fr live.fr orange.fr wanadoo.fr free.fr laposte.net sfr.fr yahoo.es hotmail.es
    outlook.es yahoo.com.mx hotmail.com.mx
    """.split()  # noqa: SIM905
)
"""The most common mail domains, the most likely first."""

INTERNATIONAL = {"yahoo", "hotmail", "outlook", "live", "gmx", "yandex", "orange", "protonmail"}
"""Providers with domains in many countries, not all of them listed."""

ENDINGS = {
    **dict.fromkeys((".con", ".cmo", ".ocm", ".comm", ".vom", ".xom", ".cim", ".cpm", ".coom", ".clm"), ".com"),
    **dict.fromkeys((".nte", ".ner", ".nett", ".met"), ".net"),
    **dict.fromkeys((".ogr", ".orgg", ".rog"), ".org"),
}
"""Domain endings that do not exist → the intended ones."""

CUT_OFF = {"co", "cm", "om"}
"""Endings that are a mistyped "com". The countries with these endings have none of the international providers."""

ALIKE = 0.86
"""How similar two domains must be, from 0 to 1: gmial.com is similar enough to gmail.com, mailgun.com is not."""

_QUOTED = re.compile('"(.*)"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def mailbox(email: str) -> str:
    """Return the same key for all addresses of a mailbox.

    Tags, case, quotes (RFC 5321, section 4.1.2), and what some providers ignore make no difference.
    """
    name, _, domain = email.lower().rpartition("@")
    if quoted := _QUOTED.fullmatch(name):
        name = _ESCAPED.sub(r"\1", quoted[1])
    name = name.partition("+")[0] or name
    domain = SAME_PROVIDER.get(domain, domain)
    name = name.translate(dict.fromkeys(map(ord, IGNORED.get(domain, "")))) or name
    return f"{name}@{domain}"


def likely(email: str) -> str:
    """Return the address that was probably meant; empty if this one looks right."""
    name, _, domain = normalization.email(email[:MAX_INPUT]).rpartition("@")
    domain = domain.lower()
    if not name or domain in DOMAINS:
        return ""
    meant = domain
    for wrong, right in ENDINGS.items():
        if domain.endswith(wrong):
            meant = domain.removesuffix(wrong) + right
    provider, _, ending = meant.partition(".")
    if provider in INTERNATIONAL:
        complete = f"{provider}.com"
        meant = complete if ending in CUT_OFF and complete in DOMAINS else meant
    else:
        meant = (get_close_matches(meant, DOMAINS, n=1, cutoff=ALIKE) or [meant])[0]
    return f"{name}@{meant}" if meant != domain else ""
