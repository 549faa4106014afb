"""The vendor's documentation of values, written down by hand to check `provisioning.rules` independently.

Properties have their v2 names in both APIs.
"""

from collections.abc import Set
from dataclasses import dataclass, field
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
"""An account that is valid in both APIs, with only the required properties."""


@dataclass(frozen=True)
class Case:
    """SIGN_UP with changes; None leaves a property out.

    `refused` names the properties that the provider refuses. `repaired` has their values as normalized by the form; if
    it is empty, the form refuses them too.
    """

    changes: dict[str, Any]
    refused: Set[str] = frozenset()
    repaired: dict[str, str] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, Any]:
        return {name: value for name, value in (SIGN_UP | self.changes).items() if value is not None}

    def __str__(self) -> str:
        shown = {name: value if len(str(value)) < 30 else f"{len(value)} long" for name, value in self.changes.items()}
        return f"{shown} → {self.repaired or ', '.join(sorted(self.refused)) or 'taken'}"


def _allowed(name: str, *values: Any) -> list[Case]:
    return [Case({name: value}) for value in values]


def _refused(name: str, *values: Any) -> list[Case]:
    return [Case({name: value}, {name}) for value in values]


def _repaired(name: str, spellings: dict[str, str]) -> list[Case]:
    """Return cases for spellings: what people type or paste → what they mean."""
    return [Case({name: value}, {name}, {name: meant}) for value, meant in spellings.items()]


def _pasted(name: str, value: str) -> list[Case]:
    """Return cases of a value as it is copied from spreadsheets, address books, web pages, and phones."""
    return _repaired(
        name,
        dict.fromkeys(
            (
                f" {value}",
                f"{value} ",
                f"{value}\t",
                f"{value}\r\n",
                f"{value}\N{NO-BREAK SPACE}",
                f"\N{IDEOGRAPHIC SPACE}{value}",
                f"\ufeff{value}",
                f"\N{ZERO WIDTH SPACE}{value}\N{ZERO WIDTH SPACE}",
                f"{value[:2]}\N{ZERO WIDTH SPACE}{value[2:]}",
                f"\N{LEFT-TO-RIGHT EMBEDDING}{value}\N{POP DIRECTIONAL FORMATTING}",
                f"{value}\N{LEFT-TO-RIGHT MARK}",
                f"\N{FIRST STRONG ISOLATE}{value}\N{POP DIRECTIONAL ISOLATE}",
                f"{value[:2]}\N{SOFT HYPHEN}{value[2:]}",
                f"{value[:2]}\N{WORD JOINER}{value[2:]}",
                f"{value[:2]}\N{RIGHT-TO-LEFT OVERRIDE}{value[2:]}",
                f"{value}\N{ZERO WIDTH JOINER}",
                f"{value}\N{OBJECT REPLACEMENT CHARACTER}",
                f"{value[:2]}\N{VARIATION SELECTOR-16}{value[2:]}",
                f"\N{VARIATION SELECTOR-16}{value}",
            ),
            value,
        ),
    )


def _wide(value: str) -> str:
    """Return the value in full-width characters, as typed on a Japanese keyboard."""
    return "".join(chr(ord(c) + 0xFEE0) for c in value)


_NOBODY = ("", None, " ", "\t", "\N{ZERO WIDTH SPACE}", "\N{HANGUL FILLER}", "\N{LEFT-TO-RIGHT MARK}\N{NO-BREAK SPACE}")
_LINES = ("an\nna", "an\rna", "an\0na", "an\N{LINE SEPARATOR}na")
_CONTROLS = ("an\0na", "an\x1bna", "an\ufffena", "an\ufdd0na")

_NAMES = ("organization_name", "first_name", "last_name")
_NAME_CASES = [
    case
    for name in _NAMES
    for case in (
        *_allowed(
            name,
            "Ånna & «Søn» <b>!",
            "李明",
            "Zoë",
            "\u0641\u0627\u200c\u0637",
            "O'Neill",
            "👩\u200d💻 Anna",
            "क्\u200dष Anna",
            "Joy \U0001fae8 Studio",
            "Joy \U0001fae9 Studio",
            "\u2764\ufe0f\u200d\U0001f525 No. 1\ufe0f\u20e3",
            "\u845b\U000e0100",
            "\u1820\u180b",
            "Wales \U0001f3f4\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f",
        ),
        *_pasted(name, "Anna Maria"),
        *_repaired(
            name,
            {
                "Anna\tMaria": "Anna Maria",
                "Anna\nMaria": "Anna Maria",
                "Anna\r\nMaria": "Anna Maria",
                "Anna\u2028Maria": "Anna Maria",
                "Anna\x85Maria": "Anna Maria",
                "Anna   Maria": "Anna Maria",
                "Anna\N{NO-BREAK SPACE}Maria": "Anna Maria",
                "Anna \N{HANGUL FILLER}Maria": "Anna Maria",
                "Zoe\N{COMBINING DIAERESIS}": "Zoë",
                "An\u200dna": "Anna",
                "Zoe\ufe0f\N{COMBINING DIAERESIS}\ufe0f": "Zoë",
                "Fa\u200ctima": "Fatima",
                "Anna \u200d Maria": "Anna Maria",
                "Anna \U000e0041Maria": "Anna Maria",
            },
        ),
        *_refused(name, *_NOBODY, *_CONTROLS),
    )
]

_SHARED = [
    *_allowed("email", "a@b.example.com", "a+b@example.com", "a" * 60 + "@" + "b" * 15 + ".com"),
    *_allowed("email", "Anna@Example.com", "a@xn--exmple-cua.com", "o'neill@example.co.uk"),
    *_refused(
        "email", *_NOBODY, *_LINES, *_CONTROLS, "anna", "anna@", "@example.com", "a b@example.com", "a@b@example.com"
    ),
    *_refused(
        "email", "a" * 61 + "@" + "b" * 15 + ".com", "a@example", "a@[127.0.0.1]", "änna@example.com", "a@exam ple.com"
    ),
    *_refused("email", "a@example.com, b@example.com", "a@-.com", "a@" + "ä" * 64 + ".com", "a@ex♥mple.com"),
    *_pasted("email", "anna@example.com"),
    *_repaired(
        "email",
        {
            "anna@exam\N{ZERO WIDTH SPACE}ple.com": "anna@example.com",
            "mailto:anna@example.com": "anna@example.com",
            "MAILTO:anna@example.com": "anna@example.com",
            "anna@example.com.": "anna@example.com",
            "anna@example.com,": "anna@example.com",
            "anna@example.com;": "anna@example.com",
            "<anna@example.com>": "anna@example.com",
            "Anna Jones <anna@example.com>": "anna@example.com",
            "Anna Jones <anna@example.com>;": "anna@example.com",
            _wide("anna@example.com"): "anna@example.com",
            "anna@exämple.com": "anna@xn--exmple-cua.com",
            "anna@EXÄMPLE.com": "anna@xn--exmple-cua.com",
            "anna@exa\N{COMBINING DIAERESIS}mple.com": "anna@xn--exmple-cua.com",
            "anna@例え.jp": "anna@xn--r8jz45g.jp",
            "anna@example.com。": "anna@example.com",
            "mailto:anna@example.com?subject=Hi%20there": "anna@example.com",
            "anna@bücher。example": "anna@xn--bcher-kva.example",
        },
    ),
    *_allowed(
        "phone",
        "12345",
        "+1 (555) 555-5555 ext. 12",
        "1" * 25,
        "+44 20 7946 0958",
        "555.555.5555",
        "1/555/5555",
        "#5555555",
        "555-5555 x12",
    ),
    *_allowed("phone", "5145550101 poste 12", "5145550101extension 1"),
    *_refused(
        "phone", *_NOBODY, *_LINES, *_CONTROLS, "1234", "call me", "1-2-3-4", "1" * 26, "abcde 12345 <b>", "abcde 12345"
    ),
    *_refused(
        "phone",
        "514-555-0101 desk 12",
        "555-0101 extn 4",
        "12345 interno 5",
        "12345anexo5",
        "555-5555 <b>",
        "555-5555; 555-5556",
        "anna@example.com",
        "+1 (555) 010-1234 ext. 12345",
        "1-8-FLOWERS",
        "555-5555 home",
    ),
    *_pasted("phone", "+1 555-555-5555"),
    *_repaired(
        "phone",
        {
            "1-800-FLOWERS": "1-800-3569377",
            "1-800-flowers": "1-800-3569377",
            "1-800-GOT-JUNK": "1-800-468-5865",
            "+1-800-555-TELL": "+1-800-555-8355",
            "0800 123 CALL": "0800 123 2255",
            "800-MATTRESS": "800-62887377",
            "(800) FLOWERS": "(800) 3569377",
            "1-800-FLOWERS ext. 2": "1-800-3569377 ext. 2",
            "1-800-BOX-CARS": "1-800-269-2277",
            "١٢٣٤٥": "12345",
            "०१२३४५": "012345",
            _wide("555-5555"): "555-5555",
            "555\N{EN DASH}010\N{EN DASH}1234": "555-010-1234",
            "555\N{NON-BREAKING HYPHEN}5555": "555-5555",
            "555 \N{MINUS SIGN} 5555": "555 - 5555",
            "tel:+15555555555": "+15555555555",
            "555\t5555": "555 5555",
            "555  5555": "555 5555",
        },
    ),
    *_allowed(
        "website", None, "http://example.com", "https://www.example.com/a?b=c", "http://example.com/" + "x" * 236
    ),
    *_allowed(
        "website",
        "https://my_shop.example.com",
        "https://example.com:8443/a",
        "http://8.8.8.8/",
        "https://example.com/%C3%A9",
    ),
    *_refused(
        "website",
        *_LINES,
        "ftp://example.com",
        "https://",
        "javascript:alert(1)",
        "n/a",
        "none",
        "None",
        "-",
        "no website",
        "@anna",
    ),
    *_refused(
        "website",
        "http://example.com/" + "x" * 237,
        "http://exa mple.com",
        "http://localhost",
        "localhost",
        "http://localhost:8000",
    ),
    *_refused(
        "website",
        "http://127.0.0.1/",
        "http://192.168.1.1",
        "http://shop.localhost",
        "http://printer.local",
        "http://example.com:port",
    ),
    *_refused(
        "website", "anna@example.com", "https://anna@example.com", "https://anna:secret@example.com", "https://example"
    ),
    *_refused(
        "website",
        "www. example.com",
        "http://[::1]/",
        "http://_example.com",
        "https://exa\0mple.com",
        "https://ex♥mple.com",
    ),
    *_pasted("website", "https://www.example.com"),
    *_repaired(
        "website",
        {
            "example.com": "https://example.com",
            "example.com.": "https://example.com",
            "www.example.com,": "https://www.example.com",
            "https://example.com;": "https://example.com",
            "www.example.com./shop": "https://www.example.com/shop",
            "www.example.com": "https://www.example.com",
            " example.com/shop ": "https://example.com/shop",
            "example.com:80": "https://example.com:80",
            "example.com?a=b": "https://example.com?a=b",
            "my_shop.example.com": "https://my_shop.example.com",
            "HTTP://example.com": "http://example.com",
            "https://example.com.": "https://example.com",
            "https://exämple.com": "https://xn--exmple-cua.com",
            "exämple.com/ä": "https://xn--exmple-cua.com/%C3%A4",
            "https://example.com/a b": "https://example.com/a%20b",
            _wide("www.example.com"): "https://www.example.com",
        },
    ),
    *_refused("country_code", *_NOBODY, "us", "USA", "XX", "ZZ", "U", "XK"),
    *_repaired("state_code", {"MA ": "MA", _wide("MA"): "MA", "\N{ZERO WIDTH SPACE}MA": "MA"}),
    *(Case({"country_code": "US", "state_code": code}) for code in ("FM", "MH", "PW")),
    *_NAME_CASES,
    *(
        case
        for name in ("first_name", "last_name")
        for case in (
            *_allowed(name, "Ma.Teresa", "St.John", "J.R.R.", "Anna-Maria", "Coman", "Webb", "Ma.de Lourdes"),
            *_refused(
                name,
                "https://example.com",
                "www.example.com",
                "example.com",
                "Win at EXAMPLE.ORG now",
                "example.com/win",
                "http://x",
                "bit.ly/abc",
                "example.de",
                _wide("example.com"),
                "example。com",
            ),
        )
    ),
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
_BRITISH = ("UK", "GB ", _wide("GB"))

_V2 = [
    *(Case({"country_code": code, "state_code": None}) for code in _ABROAD),
    *(Case({"country_code": code, "state_code": None}, {"country_code"}, {"country_code": "GB"}) for code in _BRITISH),
    *_allowed("username", "a", "a" * 50, "a-z0.9@_", "anna@example.com", "0"),
    *_refused(
        "username",
        *_NOBODY,
        *_LINES,
        "a" * 51,
        *_CONTROLS,
        "änna",
        "an na",
        "anna+1",
        "anna!",
    ),
    *_pasted("username", "anna"),
    *_repaired(
        "username",
        {
            "Anna": "anna",
            "ANNA": "anna",
            "Anna ": "anna",
            "\tAnna ": "anna",
            _wide("Anna"): "anna",
            "\N{KELVIN SIGN}arl": "karl",
        },
    ),
    *_allowed("password", "a" * 6, "a" * 80, "aA9@.-_", "my-anna-jones"),
    *_refused(
        "password", "", None, *_LINES, "a" * 5, "a" * 81, "correct horse", "correct-horse ", "pässword", "12345!"
    ),
    *_refused("password", *(f"secret{character}" for character in "`!~#%^:;|\"/?<>*$&+=(){}[],\\'\n")),
    *(
        case
        for name in _NAMES
        for case in (
            *_allowed(name, "x", "x" * 80, "李"),
            *_refused(name, "x" * 81),
        )
    ),
    Case({"password": None, "idp_provider": "x" * 21, "idp_provider_id": "1"}, {"idp_provider"}),
]

_V3 = [
    *(Case({"country_code": code, "state_code": ""}) for code in _ABROAD),
    *(Case({"country_code": code, "state_code": ""}, {"country_code"}, {"country_code": "GB"}) for code in _BRITISH),
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
    ),
    *_pasted("username", "Anna-Jones"),
    *_repaired("username", {_wide("Anna-Jones"): "Anna-Jones", "Anna.Jones ": "Anna.Jones"}),
    *_allowed("password", "a" * 8, "a" * 80, "correct horse", "pässwörd", "`!~#%^:;|\"/?<>*$&+=(){}[],\\'"),
    *_refused("password", "", None, *(f"secret-{line}" for line in (*_LINES, *_CONTROLS)), "a" * 7, "a" * 81),
    *_refused("password", "secret-\N{ZERO WIDTH SPACE}word", "secret-\N{RIGHT-TO-LEFT OVERRIDE}word", "secret-\tword"),
    *_allowed("password", " correct  horse ", "\N{FULLWIDTH LATIN SMALL LETTER A}aaaaaaa", "joy-\U0001fae8-studio"),
    *_refused("password", "my-anna-jones", "ANNA-JONES", "Joanna-1234", "keeping up with the JONESES"),
    *_allowed("password", "an-jon-1234"),
    *_allowed("organization_name", "x", "x" * 50, "李"),
    *_refused("organization_name", "x" * 51),
    *(
        case
        for name in ("first_name", "last_name")
        for case in (
            *_allowed(name, "xy", "x" * 80),
            *_refused(name, "x", "x" * 81),
        )
    ),
    Case({"password": None, "idp_provider": "x" * 80, "idp_provider_id": "1"}),
    Case({"password": None, "idp_provider": "x" * 81, "idp_provider_id": "1"}, {"idp_provider"}),
]

CASES = {"v2": _SHARED + _V2, "v3": _SHARED + _V3}
"""API → the values that it accepts and refuses."""
