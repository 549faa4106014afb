"""A case: values that are not those of a valid account, and what becomes of them."""

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

PASTED: dict[str, str] = {
    "username": "\tAnna-B ",
    "first_name": "Zoe\N{COMBINING DIAERESIS}\N{ZERO WIDTH SPACE}",
    "email": "mailto:Anna@exam\N{ZERO WIDTH SPACE}ple.com.",
    "phone": "\N{LEFT-TO-RIGHT EMBEDDING}\N{FULLWIDTH DIGIT ONE}-800-FLOWERS\N{POP DIRECTIONAL FORMATTING}",
    "website": "Exämple.com ",
}
"""Values as people paste them, for v2."""

MEANT: dict[str, str] = {
    "username": "anna-b",
    "first_name": "Zoë",
    "email": "Anna@example.com",
    "phone": "1-800-3569377",
    "website": "https://xn--exmple-cua.com",
}
"""The same values as they are stored."""


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


def allowed(name: str, *values: Any) -> list[Case]:
    return [Case({name: value}) for value in values]


def refused(name: str, *values: Any) -> list[Case]:
    return [Case({name: value}, {name}) for value in values]


def repaired(name: str, spellings: dict[str, str]) -> list[Case]:
    """Return cases for spellings: what people type or paste → what they mean."""
    return [Case({name: value}, {name}, {name: meant}) for value, meant in spellings.items()]


def pasted(name: str, value: str) -> list[Case]:
    """Return cases of a value as it is copied from spreadsheets, address books, web pages, and phones."""
    return repaired(
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


def wide(value: str) -> str:
    """Return the value in full-width characters, as typed on a Japanese keyboard."""
    return "".join(chr(ord(c) + 0xFEE0) for c in value)


BLANKS = ("", None, " ", "\t", "\N{ZERO WIDTH SPACE}", "\N{HANGUL FILLER}", "\N{LEFT-TO-RIGHT MARK}\N{NO-BREAK SPACE}")
LINES = ("an\nna", "an\rna", "an\0na", "an\N{LINE SEPARATOR}na")
CONTROLS = ("an\0na", "an\x1bna", "an\ufffena", "an\ufdd0na")

NAMES = ("organization_name", "first_name", "last_name")
NAME_CASES = [
    case
    for name in NAMES
    for case in (
        *allowed(
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
        *pasted(name, "Anna Maria"),
        *repaired(
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
        *refused(name, *BLANKS, *CONTROLS),
    )
]
