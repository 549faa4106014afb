"""The class of rules: what a rule for one property can contain, and how it validates a value."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator, URLValidator
from django.utils.translation import get_language, ngettext_lazy
from django.utils.translation import gettext_lazy as _

from provisioning.rules import normalization, passwords

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

Text: TypeAlias = "str | StrPromise"
"""A text in one language, or one that is translated when it is shown."""
Choices = list[tuple[str, Any]]
"""Pairs of a value and its label, or of a group's label and its pairs."""

MAX_INPUT = 1000
"""Characters. Longer text would be slow to normalize, and no rule allows it."""

T = TypeVar("T")


def once_per_language(build: Callable[[], T]) -> Callable[[], T]:
    """Decorate a function whose result depends only on the active language, to call it once for each language.

    All callers share the result, so don't change it.
    """

    @cache
    def build_in(language: str | None) -> T:
        return build()

    return lambda: build_in(get_language())


@dataclass(frozen=True, kw_only=True, eq=False)
class Rule:
    """The rule for one property; lengths count characters.

    `normalize` cleans up what was typed before it is validated; see `normalization`. `characters` is the inside of a
    regular expression's [ ], and `shape` a whole one; if both are empty, every visible character is allowed. `choices`
    are (value, label) pairs, or named groups of them. `hints` are HTML attributes that help a browser, a phone's
    keyboard, or a password manager to get the value right.
    """

    name: str
    kind: type[str] | type[bool] = str
    required: bool = False
    min_length: int = 1
    max_length: int = 255
    normalize: Callable[[str], str] = normalization.one_line
    characters: str = ""
    shape: str = ""
    wrong_characters: Text = ""
    min_digits: int = 0
    is_email: bool = False
    is_url: bool = False
    is_person: bool = False
    """Part of a person's name: a web address in it is advertising."""
    domain: str = ""
    is_secret: bool = False
    generated: str = "ascii-printable"
    """The characters that a password manager may use (https://developer.apple.com/password-rules/)."""
    must_not_contain: str = ""
    """The name of a property whose value, or any word of it, must not be part of this one."""
    help_text: Text = ""
    """May contain `%(min_length)d`; `help()` fills it in."""
    missing: Text = ""
    hints: Mapping[str, str] = field(default_factory=dict)
    choices: Callable[[], Choices] = list
    """Returns the choices, with labels in the active language; empty for free text."""

    @cached_property
    def codes(self) -> frozenset[str]:
        """The values of the choices, the same in every language; empty for free text."""
        return frozenset(code for code, _name in flatten(self.choices()))

    def help(self) -> str:
        """Return the hint for the field."""
        return unbroken(str(self.help_text) % {"min_length": self.min_length})

    def characters_error(self) -> str:
        """Return the error for characters that are not allowed."""
        return unbroken(str(self.wrong_characters))

    def clean(self, value: object) -> Any:
        """Return the value as it is sent to Constant Contact. Raises ValidationError if it would be refused."""
        if self.kind is bool:
            return _clean_flag(value)
        if not isinstance(value, str | None):
            raise ValidationError(_("Enter text."), code="type")
        text = value or ""
        if len(text) > MAX_INPUT:
            raise ValidationError(self.too_long(len(text)), code="max_length")
        text = self.normalize(text)
        if not text:
            if self.required:
                raise ValidationError(self.missing or _("Enter a value."), code="required")
            return ""
        for problem in self._problems(text):
            raise problem
        return text

    def attributes(self) -> dict[str, str]:
        """Return the rule as HTML attributes of an input, for browsers and for hints while typing."""
        # Not `maxlength`: with it, browsers silently cut off pasted text, even passwords.
        limits = {} if self.kind is bool or self.codes else {"data-max-length": str(self.max_length)}
        if self.min_length > 1:
            limits["minlength"] = str(self.min_length)
        if self.characters:
            limits["pattern"] = f"[{self.characters}]*"
        if self.is_secret:
            limits |= passwords.hints(self.min_length)
            limits["passwordrules"] = (
                f"minlength: {self.min_length}; maxlength: {self.max_length}; allowed: {self.generated};"
            )
        return limits | dict(self.hints)

    def too_long(self, length: int | str) -> str:
        """Return the error for a value of this length, which may be a placeholder for the page's script to fill in."""
        return _("Use at most %(limit)d characters; this has %(length)s.") % {
            "limit": self.max_length,
            "length": length,
        }

    def _problems(self, text: str) -> Iterator[ValidationError]:
        if any(map(_is_forbidden, _ORDINARY.sub("", normalization.FLAG.sub("", text)))):
            yield ValidationError(
                _("Type this instead of pasting it: it contains a character that cannot be displayed."), code="unseen"
            )
        if len(text) > self.max_length:
            yield ValidationError(self.too_long(len(text)), code="max_length")
        if len(text) < self.min_length:
            yield ValidationError(
                ngettext_lazy("Use at least %d character.", "Use at least %d characters.", self.min_length)
                % self.min_length,
                code="min_length",
            )
        if not self._shape.fullmatch(text):
            yield ValidationError(self.characters_error(), code="characters")
        if len(_DIGIT.findall(text)) < self.min_digits:
            yield ValidationError(_("Use at least %d digits.") % self.min_digits, code="min_digits")
        yield from self._problems_of_kind(text)

    def _problems_of_kind(self, text: str) -> Iterator[ValidationError]:
        """Yield what is wrong with the text as an email address, a web address, a person's name, or a choice."""
        if self.is_email:
            yield from _problems_of_email(text, self.domain)
        if self.is_url and not _is_website(text):
            yield ValidationError(
                _("Enter a web address like www.example.com. If you have none, leave this empty."), code="url"
            )
        if self.is_person and _ADVERTISEMENT.search(normalization.compact(text).replace("。", ".")):
            yield ValidationError(_("Use letters, not a web address."), code="advertisement")
        if self.codes and text not in self.codes:
            yield ValidationError(_("Choose one from the list."), code="choice")

    @cached_property
    def _shape(self) -> re.Pattern[str]:
        return re.compile(self.shape or (f"[{self.characters}]*" if self.characters else "(?s:.*)"))


def flatten(choices: Choices) -> Iterator[tuple[str, Any]]:
    """Yield the choices without their groups."""
    for value, label in choices:
        if isinstance(label, list):
            yield from label
        else:
            yield value, label


def unbroken(text: str) -> str:
    """Keep a list of signs, like @ . - _, on one line."""
    return _BETWEEN_SIGNS.sub("\N{NO-BREAK SPACE}", text)


def _clean_flag(value: object) -> bool:
    if not (value is None or isinstance(value, bool)):
        raise ValidationError(_("Answer yes or no."), code="type")
    return bool(value)


def _problems_of_email(text: str, domain: str) -> Iterator[ValidationError]:
    if not (text.isascii() and _accepts(_EMAIL, text)) or _NOT_IN_EMAIL.search(text):
        yield ValidationError(_("Enter an email address like name@example.com."), code="email")
    if domain and not text.lower().endswith(f"@{domain}"):
        yield ValidationError(
            _("In test mode, only addresses at %(domain)s are accepted.") % {"domain": domain}, code="domain"
        )


def _accepts(validator: EmailValidator | URLValidator, text: str) -> bool:
    try:
        validator(text)
    except ValidationError:
        return False
    return True


def _is_website(text: str) -> bool:
    """Whether it is a public URL. Host names with an underscore are accepted: they are in use, though not valid DNS."""
    scheme, slashes, rest = text.partition("://")
    host = re.split("[/?#]", rest, maxsplit=1)[0]
    name = host.partition(":")[0].lower()
    if (
        not name.isascii()
        or "@" in host
        or "." not in name
        or name.rpartition(".")[2] in _NO_PUBLIC_DOMAINS
        or _is_private(name)
    ):
        return False
    return _accepts(_URL, scheme + slashes + rest.replace(host, host.replace("_", "-"), 1))


def _is_private(name: str) -> bool:
    try:
        return not ip_address(name).is_global
    except ValueError:
        return False


def _is_forbidden(character: str) -> bool:
    """Whether no property may contain this character. Unassigned ones are allowed: they may be next year's emoji."""
    return (
        unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
        or ord(character) & 0xFFFE == 0xFFFE
        or "\ufdd0" <= character <= "\ufdef"
        or normalization.is_invisible(character)
    )


_EMAIL = EmailValidator(allowlist=[])
_NOT_IN_EMAIL = re.compile(r"\[|=\?")
"""The start of a network address in place of a domain, and of an encoded word (RFC 2047, section 5). Mail software
would decode the latter: the email would go to another mailbox than the one whose limits it counts against."""
_URL = URLValidator(schemes=["http", "https"])
_DIGIT = re.compile("[0-9]")
_BETWEEN_SIGNS = re.compile(r"(?<=\s(?:[^\w\s]|_)) (?=(?:[^\w\s]|_)(?:\s|$))")
_ORDINARY = re.compile("[ -~]+")
"""The characters of almost all values; none of them needs to be checked individually."""

_NO_PUBLIC_DOMAINS = {"localhost", "local", "internal", "lan", "home"}

_ADVERTISEMENT = re.compile(
    r"(?i:://|\bwww\.|\w\.(com|net|org|info|biz|io|co|ru|cn|xyz|top|online|site|shop|store|club|click|link|app|dev)\b)"
    r"|\w\.[a-z]{2,}/|^\S+\.(ai|at|au|be|br|ca|cc|ch|de|es|eu|fr|in|it|jp|ly|me|mx|nl|pl|pro|tv|ua|uk|us)$"
)
"""A web address in a name. A dot alone doesn't count: there are names like "Ma.Teresa" and "Ma.de Lourdes"."""
