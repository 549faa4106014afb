"""The vendor's documentation of values, written down by hand to check `provisioning.rules` independently.

Properties have their v2 names in both APIs.
"""

from tests.provisioning.cases import (
    BLANKS,
    CONTROLS,
    LINES,
    NAME_CASES,
    NAMES,
    allowed,
    pasted,
    refused,
    repaired,
    wide,
)
from tests.provisioning.cases import SIGN_UP as SIGN_UP
from tests.provisioning.cases import Case as Case

_SHARED = [
    *allowed("email", "a@b.example.com", "a+b@example.com", "a" * 60 + "@" + "b" * 15 + ".com"),
    *allowed("email", "Anna@Example.com", "a@xn--exmple-cua.com", "o'neill@example.co.uk"),
    *refused(
        "email", *BLANKS, *LINES, *CONTROLS, "anna", "anna@", "@example.com", "a b@example.com", "a@b@example.com"
    ),
    *refused(
        "email", "a" * 61 + "@" + "b" * 15 + ".com", "a@example", "a@[127.0.0.1]", "änna@example.com", "a@exam ple.com"
    ),
    *refused("email", "=?utf-8?q?anna?=@example.com", '"=?utf-8?b?YW5uYQ==?="@example.com'),
    *refused("email", "a@example.com, b@example.com", "a@-.com", "a@" + "ä" * 64 + ".com", "a@ex♥mple.com"),
    *pasted("email", "anna@example.com"),
    *repaired(
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
            wide("anna@example.com"): "anna@example.com",
            "anna@exämple.com": "anna@xn--exmple-cua.com",
            "anna@EXÄMPLE.com": "anna@xn--exmple-cua.com",
            "anna@exa\N{COMBINING DIAERESIS}mple.com": "anna@xn--exmple-cua.com",
            "anna@例え.jp": "anna@xn--r8jz45g.jp",
            "anna@example.com。": "anna@example.com",
            "mailto:anna@example.com?subject=Hi%20there": "anna@example.com",
            "anna@bücher。example": "anna@xn--bcher-kva.example",
        },
    ),
    *allowed(
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
    *allowed("phone", "5145550101 poste 12", "5145550101extension 1"),
    *refused(
        "phone", *BLANKS, *LINES, *CONTROLS, "1234", "call me", "1-2-3-4", "1" * 26, "abcde 12345 <b>", "abcde 12345"
    ),
    *refused(
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
    *pasted("phone", "+1 555-555-5555"),
    *repaired(
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
            wide("555-5555"): "555-5555",
            "555\N{EN DASH}010\N{EN DASH}1234": "555-010-1234",
            "555\N{NON-BREAKING HYPHEN}5555": "555-5555",
            "555 \N{MINUS SIGN} 5555": "555 - 5555",
            "tel:+15555555555": "+15555555555",
            "555\t5555": "555 5555",
            "555  5555": "555 5555",
        },
    ),
    *allowed("website", None, "http://example.com", "https://www.example.com/a?b=c", "http://example.com/" + "x" * 236),
    *allowed(
        "website",
        "https://my_shop.example.com",
        "https://example.com:8443/a",
        "http://8.8.8.8/",
        "https://example.com/%C3%A9",
    ),
    *refused(
        "website",
        *LINES,
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
    *refused(
        "website",
        "http://example.com/" + "x" * 237,
        "http://exa mple.com",
        "http://localhost",
        "localhost",
        "http://localhost:8000",
    ),
    *refused(
        "website",
        "http://127.0.0.1/",
        "http://192.168.1.1",
        "http://shop.localhost",
        "http://printer.local",
        "http://example.com:port",
    ),
    *refused(
        "website", "anna@example.com", "https://anna@example.com", "https://anna:secret@example.com", "https://example"
    ),
    *refused(
        "website",
        "www. example.com",
        "http://[::1]/",
        "http://_example.com",
        "https://exa\0mple.com",
        "https://ex♥mple.com",
    ),
    *pasted("website", "https://www.example.com"),
    *repaired(
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
            wide("www.example.com"): "https://www.example.com",
        },
    ),
    *refused("country_code", *BLANKS, "us", "USA", "XX", "ZZ", "U", "XK"),
    *repaired("state_code", {"MA ": "MA", wide("MA"): "MA", "\N{ZERO WIDTH SPACE}MA": "MA"}),
    *(Case({"country_code": "US", "state_code": code}) for code in ("FM", "MH", "PW")),
    *NAME_CASES,
    *(
        case
        for name in ("first_name", "last_name")
        for case in (
            *allowed(name, "Ma.Teresa", "St.John", "J.R.R.", "Anna-Maria", "Coman", "Webb", "Ma.de Lourdes"),
            *refused(
                name,
                "https://example.com",
                "www.example.com",
                "example.com",
                "Win at EXAMPLE.ORG now",
                "example.com/win",
                "http://x",
                "bit.ly/abc",
                "example.de",
                wide("example.com"),
                "example。com",
            ),
        )
    ),
    *(Case({"country_code": "US", "state_code": code}) for code in ("CA", "DC", "PR", "AE", "WY")),
    *(Case({"country_code": "CA", "state_code": code}) for code in ("ON", "QC", "NU", "YT")),
    *(Case({"country_code": "US", "state_code": code}, {"state_code"}) for code in ("ON", "ma", "XX", None)),
    *(Case({"country_code": "CA", "state_code": code}, {"state_code"}) for code in ("MA", "on", "PQ", None)),
    *allowed("gdpr_opt_out", None, True, False),
    *allowed("billing_locale", None, "en_US", "en_GB"),
    *refused("billing_locale", "de_DE", "en_us", "USD", *LINES),
    *allowed("managed_site_owner", None, True, False),
    *allowed("partner_account_id", None, "7", "x" * 80),
    *refused("partner_account_id", "x" * 81, *LINES),
    *allowed("single_billing", None, True, False),
    Case({"single_billing": True, "managed_site_owner": False}),
    Case({"single_billing": True, "managed_site_owner": True}),
    Case({"password": None, "idp_provider": "x" * 20, "idp_provider_id": "x" * 255}),
    Case({"password": None, "idp_provider": "x", "idp_provider_id": "1" * 256}, {"idp_provider_id"}),
]

_ABROAD = ("DE", "GB", "AX", "KP", "PR")
_BRITISH = ("UK", "GB ", wide("GB"))

_V2 = [
    *(Case({"country_code": code, "state_code": None}) for code in _ABROAD),
    *(Case({"country_code": code, "state_code": None}, {"country_code"}, {"country_code": "GB"}) for code in _BRITISH),
    *allowed("username", "a", "a" * 50, "a-z0.9@_", "anna@example.com", "0"),
    *refused(
        "username",
        *BLANKS,
        *LINES,
        "a" * 51,
        *CONTROLS,
        "änna",
        "an na",
        "anna+1",
        "anna!",
    ),
    *pasted("username", "anna"),
    *repaired(
        "username",
        {
            "Anna": "anna",
            "ANNA": "anna",
            "Anna ": "anna",
            "\tAnna ": "anna",
            wide("Anna"): "anna",
            "\N{KELVIN SIGN}arl": "karl",
        },
    ),
    *allowed("password", "a" * 6, "a" * 80, "aA9@.-_", "my-anna-jones"),
    *refused("password", "", None, *LINES, "a" * 5, "a" * 81, "correct horse", "correct-horse ", "pässword", "12345!"),
    *refused("password", *(f"secret{character}" for character in "`!~#%^:;|\"/?<>*$&+=(){}[],\\'\n")),
    *(
        case
        for name in NAMES
        for case in (
            *allowed(name, "x", "x" * 80, "李"),
            *refused(name, "x" * 81),
        )
    ),
    Case({"password": None, "idp_provider": "x" * 21, "idp_provider_id": "1"}, {"idp_provider"}),
]

_V3 = [
    *(Case({"country_code": code, "state_code": ""}) for code in _ABROAD),
    *(Case({"country_code": code, "state_code": ""}, {"country_code"}, {"country_code": "GB"}) for code in _BRITISH),
    *allowed("username", "a" * 6, "a" * 50, "a-z0.9@_+", "Anna.Jones", "anna@example.com", "000000"),
    *refused(
        "username",
        *BLANKS,
        *(f"{line}-jones" for line in LINES),
        "a" * 5,
        "a" * 51,
        "änna-jones",
        "anna jones",
        "anna-jones!",
    ),
    *pasted("username", "Anna-Jones"),
    *repaired("username", {wide("Anna-Jones"): "Anna-Jones", "Anna.Jones ": "Anna.Jones"}),
    *allowed("password", "a" * 8, "a" * 80, "correct horse", "pässwörd", "`!~#%^:;|\"/?<>*$&+=(){}[],\\'"),
    *refused("password", "", None, *(f"secret-{line}" for line in (*LINES, *CONTROLS)), "a" * 7, "a" * 81),
    *refused("password", "secret-\N{ZERO WIDTH SPACE}word", "secret-\N{RIGHT-TO-LEFT OVERRIDE}word", "secret-\tword"),
    *allowed("password", " correct  horse ", "\N{FULLWIDTH LATIN SMALL LETTER A}aaaaaaa", "joy-\U0001fae8-studio"),
    *refused("password", "my-anna-jones", "ANNA-JONES", "Joanna-1234", "keeping up with the JONESES"),
    *allowed("password", "an-jon-1234"),
    *allowed("organization_name", "x", "x" * 50, "李"),
    *refused("organization_name", "x" * 51),
    *(
        case
        for name in ("first_name", "last_name")
        for case in (
            *allowed(name, "xy", "x" * 80),
            *refused(name, "x", "x" * 81),
        )
    ),
    Case({"password": None, "idp_provider": "x" * 80, "idp_provider_id": "1"}),
    Case({"password": None, "idp_provider": "x" * 81, "idp_provider_id": "1"}, {"idp_provider"}),
]

CASES = {"v2": _SHARED + _V2, "v3": _SHARED + _V3}
"""API → the values that it accepts and refuses."""
