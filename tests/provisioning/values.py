"""What the vendor's document says about values, put down by hand as a second opinion on `provisioning.rules`.

Properties have their names in v2, whichever the API.
"""

from collections.abc import Set
from dataclasses import dataclass
from typing import Any

SIGN_UP: dict[str, Any] = {
    "username": "anna-jones",
    "password": "correct-horse",
    "organization_name": "Anna's Bakery",
    "first_name": "Anna",
    "last_name": "Jones",
    "email": "anna@nullmailer.com",
    "phone": "555-555-5555",
    "country_code": "US",
    "state_code": "MA",
}
"""An account that is rightful in every way and in both APIs, of nothing but what is required."""


@dataclass(frozen=True)
class Case:
    """SIGN_UP with other values, where None is «left out»; `refused` names the properties refused for them."""

    changes: dict[str, Any]
    refused: Set[str] = frozenset()

    @property
    def values(self) -> dict[str, Any]:
        return {name: value for name, value in (SIGN_UP | self.changes).items() if value is not None}

    def __str__(self) -> str:
        shown = {name: value if len(str(value)) < 30 else f"{len(value)} long" for name, value in self.changes.items()}
        return f"{shown} → {', '.join(sorted(self.refused)) or 'taken'}"


def _allowed(name: str, *values: Any) -> list[Case]:
    return [Case({name: value}) for value in values]


def _refused(name: str, *values: Any) -> list[Case]:
    return [Case({name: value}, {name}) for value in values]


_NOBODY = ("", None, " ", "\t", "\N{ZERO WIDTH SPACE}")
_LINES = ("an\nna", "an\rna", "an\0na", "an\N{LINE SEPARATOR}na")

_SHARED = [
    *_allowed("email", "a@b.example.com", "a+b@example.com", "a" * 60 + "@" + "b" * 15 + ".com"),
    *_refused("email", *_NOBODY, *_LINES, "anna", "anna@", "@example.com", "a b@example.com", "a@b@example.com"),
    *_refused("email", "a" * 61 + "@" + "b" * 15 + ".com", "a@example", "a@example.com\n"),
    *_allowed("phone", "12345", "+1 (555) 555-5555 ext. 12", "1" * 25),
    *_refused("phone", *_NOBODY, *_LINES, "1234", "call me", "1-2-3-4", "1" * 26, "١٢٣٤٥"),
    *_allowed(
        "website", None, "http://example.com", "https://www.example.com/a?b=c", "http://example.com/" + "x" * 236
    ),
    *_refused("website", *_LINES, "example.com", "ftp://example.com", "https://", "javascript:alert(1)"),
    *_refused("website", "http://example.com/" + "x" * 237, "http://example.com\n", "http://exa mple.com"),
    *_refused("country_code", *_NOBODY, "us", "USA", "XX", "ZZ", "U"),
    *(Case({"country_code": "US", "state_code": code}) for code in ("CA", "DC", "PR", "AE", "WY")),
    *(Case({"country_code": "CA", "state_code": code}) for code in ("ON", "QC", "NU", "YT")),
    *(Case({"country_code": "US", "state_code": code}, {"state_code"}) for code in ("ON", "ma", "XX", None)),
    *(Case({"country_code": "CA", "state_code": code}, {"state_code"}) for code in ("MA", "on", "PQ", None)),
    *_allowed("gdpr_opt_out", None, True, False),
    *_allowed("billing_locale", None, "en_US", "en_GB"),
    *_refused("billing_locale", "de_DE", "en_us", "USD", *_LINES),
    *_allowed("managed_site_owner", None, True, False),
    *_allowed("partner_account_id", None, "7", "x" * 80),
    *_refused("partner_account_id", "x" * 81, *_LINES),
    *_allowed("single_billing", None, True, False),
    Case({"single_billing": True, "managed_site_owner": False}),
    Case({"single_billing": True, "managed_site_owner": True}),
    Case({"password": None, "idp_provider": "x" * 20, "idp_provider_id": "x" * 255}),
    Case({"password": None, "idp_provider": "x", "idp_provider_id": "1" * 256}, {"idp_provider_id"}),
]

_ABROAD = ("DE", "GB", "AX", "KP", "PR")

_V2 = [
    *(Case({"country_code": code, "state_code": None}) for code in _ABROAD),
    *_allowed("username", "a", "a" * 50, "a-z0.9@_", "anna@example.com", "0"),
    *_refused(
        "username",
        *_NOBODY,
        *_LINES,
        "a" * 51,
        "Anna",
        "änna",
        "an na",
        "anna+1",
        "anna!",
        "anna\n",
        "\N{FULLWIDTH LATIN SMALL LETTER A}nna",
    ),
    *_allowed("password", "a" * 6, "a" * 80, "aA9@.-_", "my-anna-jones"),
    *_refused(
        "password", "", None, *_LINES, "a" * 5, "a" * 81, "correct horse", "correct-horse ", "pässword", "12345!"
    ),
    *_refused("password", *(f"secret{character}" for character in "`!~#%^:;|\"/?<>*$&+=(){}[],\\'\n")),
    *(
        case
        for name in ("organization_name", "first_name", "last_name")
        for case in (
            *_allowed(name, "x", "x" * 80, "Ånna & «Søn» <b>!", "李"),
            *_refused(name, *_NOBODY, *_LINES, "x" * 81),
        )
    ),
    Case({"password": None, "idp_provider": "x" * 21, "idp_provider_id": "1"}, {"idp_provider"}),
]

_V3 = [
    *(Case({"country_code": code, "state_code": ""}) for code in _ABROAD),
    *_allowed("username", "a" * 6, "a" * 50, "a-z0.9@_+", "Anna.Jones", "anna@example.com", "000000"),
    *_refused(
        "username",
        *_NOBODY,
        *(f"{line}-jones" for line in _LINES),
        "a" * 5,
        "a" * 51,
        "änna-jones",
        "anna jones",
        "anna-jones!",
        "anna-jones\n",
        "\N{FULLWIDTH LATIN SMALL LETTER A}nna-jones",
    ),
    *_allowed("password", "a" * 8, "a" * 80, "correct horse", "pässwörd", "`!~#%^:;|\"/?<>*$&+=(){}[],\\'"),
    *_refused("password", "", None, *(f"secret-{line}" for line in _LINES), "a" * 7, "a" * 81),
    *_refused("password", "my-anna-jones", "ANNA-JONES", "Joanna-1234", "keeping up with the JONESES"),
    *_allowed("password", "an-jon-1234"),
    *_allowed("organization_name", "x", "x" * 50, "Ånna & «Søn» <b>!", "李"),
    *_refused("organization_name", *_NOBODY, *_LINES, "x" * 51),
    *(
        case
        for name in ("first_name", "last_name")
        for case in (
            *_allowed(name, "xy", "x" * 80, "Ånna & «Søn» <b>!", "李明"),
            *_refused(name, *_NOBODY, *_LINES, "x", "x" * 81),
        )
    ),
    Case({"password": None, "idp_provider": "x" * 80, "idp_provider_id": "1"}),
    Case({"password": None, "idp_provider": "x" * 81, "idp_provider_id": "1"}, {"idp_provider"}),
]

CASES = {"v2": _SHARED + _V2, "v3": _SHARED + _V3}
"""The API → what it takes and refuses."""
