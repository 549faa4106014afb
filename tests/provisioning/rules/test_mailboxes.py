"""Which addresses belong to the same mailbox, and which address was probably meant."""

from itertools import product

import pytest
from django.core.mail.message import sanitize_address

from provisioning import rules


@pytest.mark.parametrize(
    "email",
    [
        "victim@gmail.com",
        "victim+1@gmail.com",
        "v.i.c.t.i.m@gmail.com",
        "Victim@GMail.com",
        "v.ictim+a.b@googlemail.com",
        '"victim"@gmail.com',
        r'"v\i\c.tim+x"@gmail.com',
    ],
)
def test_addresses_of_one_mailbox_have_one_name(email: str) -> None:
    assert rules.mailbox(email) == "victim@gmail.com"


@pytest.mark.parametrize(
    ("email", "name"),
    [
        ("v.ictim+1@example.com", "v.ictim@example.com"),
        ("+1@example.com", "+1@example.com"),
        ("victim@gmail.com.example", "victim@gmail.com.example"),
        (r'"v\"\\ictim"@example.com', r'v"\ictim@example.com'),
        ("victim@mac.com", "victim@icloud.com"),
        ("v.ic-t_im@protonmail.com", "victim@proton.me"),
        ("v-ic_tim@gmail.com", "v-ic_tim@gmail.com"),
    ],
)
def test_spellings_make_no_difference_where_the_provider_ignores_them(email: str, name: str) -> None:
    assert rules.mailbox(email) == name


def test_all_addresses_that_the_mail_server_gets_as_one_have_one_name() -> None:
    """A name may be written in quotes, with a backslash before any letter (RFC 5321, section 4.1.2)."""
    for name in ("anna", "an-na", "a.nna+b", "an na"):
        for signs in product(("", "\\"), repeat=len(name)):
            spelled = "".join(map("".join, zip(signs, name, strict=True)))
            written = f'"{spelled}"@nullmailer.com'
            assert rules.mailbox(written) == rules.mailbox(sanitize_address(written, "utf-8"))


@pytest.mark.parametrize(
    ("email", "meant"),
    [
        ("anna@gmial.con", "anna@gmail.com"),
        ("anna@gmial.com", "anna@gmail.com"),
        ("anna@gmail.co", "anna@gmail.com"),
        ("Anna@GMAIL.CON", "Anna@gmail.com"),
        ("anna@gmai.com", "anna@gmail.com"),
        ("anna@hotmial.com", "anna@hotmail.com"),
        ("anna@yaho.com", "anna@yahoo.com"),
        ("anna@outlok.com", "anna@outlook.com"),
        ("anna@gmail,com", "anna@gmail.com"),
        (" Anna@gmial.con ", "Anna@gmail.com"),
        ("mailto:anna@gmial.con.", "anna@gmail.com"),
        ("anna@gm\u200bial.con", "anna@gmail.com"),
        ("anna@hotmail.co", "anna@hotmail.com"),
        ("anna@yahoo.om", "anna@yahoo.com"),
        ("anna@iclould.com", "anna@icloud.com"),
        ("anna@comcast.met", "anna@comcast.net"),
        ("anna@bakery.example.con", "anna@bakery.example.com"),
        ("anna@bakery.ogr", "anna@bakery.org"),
    ],
)
def test_a_mistyped_domain_leads_to_the_intended_one(email: str, meant: str) -> None:
    assert rules.likely_email(email) == meant


@pytest.mark.parametrize(
    "email",
    [
        "anna@gmail.com",
        "anna@mail.com",
        "anna@ymail.com",
        "anna@example.com",
        "anna@nullmailer.com",
        "anna@bakery.co",
        "anna@northwestbakeries.example",
        "anna@mailgun.com",
        "anna@outlook.de",
        "anna@yahoo.com.co",
        "anna@orange.co",
        "anna@protonmail.ch",
        "anna@xn--exmple-cua.com",
        "anna",
        "",
    ],
)
def test_a_plausible_domain_is_left_alone(email: str) -> None:
    assert rules.likely_email(email) == ""


def test_the_list_has_no_duplicate_domains() -> None:
    assert len(set(rules.mailboxes.DOMAINS)) == len(rules.mailboxes.DOMAINS)
