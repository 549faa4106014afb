"""What a rule for one property can say, and how it judges a value."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator, URLValidator
from django.utils.translation import get_language, ngettext_lazy
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

    Text: TypeAlias = str | StrPromise

Choices = list[tuple[str, Any]]
"""Pairs of a value and its label, or of a group's label and the pairs in it."""

T = TypeVar("T")


def once_per_language(build: Callable[[], T]) -> Callable[[], T]:
    """Decorate a function whose result depends on nothing but the active language: it is called once for each.

    All callers share the result, so don't change it.
    """

    @cache
    def build_in(language: str | None) -> T:
        return build()

    return lambda: build_in(get_language())


@dataclass(frozen=True, kw_only=True)
class Rule:
    """The rule for one property; lengths count characters.

    `characters` is the inside of a regular expression's [ ]; where it is empty, every character that can be seen is
    allowed. `choices` are (value, label) pairs in groups of no or one name. `hints` are the HTML attributes that help a
    browser, a phone's keyboard or a password manager to get the value right.
    """

    name: str
    kind: type[str] | type[bool] = str
    required: bool = False
    min_length: int = 1
    max_length: int = 255
    characters: str = ""
    wrong_characters: Text = ""
    min_digits: int = 0
    is_email: bool = False
    is_url: bool = False
    domain: str = ""
    is_secret: bool = False
    without: str = ""
    """The property whose value, or a word of it, must not be part of this one."""
    help_text: Text = ""
    """May name `%(min_length)d`; `help()` fills it in."""
    missing: Text = ""
    hints: Mapping[str, str] = field(default_factory=dict)
    choices: Callable[[], Choices] = list
    """Gives the values there are to choose from, with names in the reader's language; none for free text."""

    @cached_property
    def codes(self) -> frozenset[str]:
        """The values there are to choose from, the same in every language; empty for free text."""
        return frozenset(code for code, _name in flatten(self.choices()))

    def help(self) -> str:
        """What to know before filling it in."""
        return str(self.help_text) % {"min_length": self.min_length}

    def clean(self, value: object) -> Any:
        """The value as it is sent to Constant Contact; raises ValidationError where it would be refused."""
        if self.kind is bool:
            return _clean_flag(value)
        if not isinstance(value, str | None):
            raise ValidationError(_("Enter text."), code="type")
        text = (value or "") if self.is_secret else _strip(value or "")
        if not text:
            if self.required:
                raise ValidationError(self.missing or _("Enter a value."), code="required")
            return ""
        for problem in self._problems(text):
            raise problem
        return text

    def attributes(self) -> dict[str, str]:
        """The rule as HTML attributes of an input, for browsers and for hints while typing."""
        limits = {} if self.kind is bool or self.codes else {"maxlength": str(self.max_length)}
        if self.min_length > 1:
            limits["minlength"] = str(self.min_length)
        if self.characters:
            limits["pattern"] = f"[{self.characters}]*"
        return limits | dict(self.hints)

    def _problems(self, text: str) -> Iterator[ValidationError]:
        if any(unicodedata.category(character) in _UNSEEN or character in _DIRECTIONS for character in text):
            yield ValidationError(_("Use a single line without control characters."), code="unseen")
        if len(text) > self.max_length:
            limit = {"limit": self.max_length, "length": len(text)}
            yield ValidationError(
                _("Use at most %(limit)d characters; this has %(length)d.") % limit, code="max_length"
            )
        if len(text) < self.min_length:
            yield ValidationError(
                ngettext_lazy("Use at least %d character.", "Use at least %d characters.", self.min_length)
                % self.min_length,
                code="min_length",
            )
        if self.characters and not re.fullmatch(f"[{self.characters}]*", text):
            yield ValidationError(self.wrong_characters, code="characters")
        if len(re.findall("[0-9]", text)) < self.min_digits:
            yield ValidationError(_("Use at least %d digits.") % self.min_digits, code="min_digits")
        if self.is_email:
            yield from _problems_of_email(text, self.domain)
        if self.is_url and not _accepts(URLValidator(schemes=["http", "https"]), text):
            yield ValidationError(
                _("Enter the whole address, starting with http:// or https://, like https://www.example.com."),
                code="url",
            )
        if self.codes and text not in self.codes:
            yield ValidationError(_("Choose one from the list."), code="choice")


def flatten(choices: Choices) -> Iterator[tuple[str, Any]]:
    """Choices without their groups."""
    for value, label in choices:
        if isinstance(label, list):
            yield from label
        else:
            yield value, label


def _clean_flag(value: object) -> bool:
    if not (value is None or isinstance(value, bool)):
        raise ValidationError(_("Answer yes or no."), code="type")
    return bool(value)


def _problems_of_email(text: str, domain: str) -> Iterator[ValidationError]:
    if not _accepts(EmailValidator(allowlist=[]), text):
        yield ValidationError(_("Enter an e-mail address like name@example.com."), code="email")
    if domain and not text.lower().endswith(f"@{domain}"):
        yield ValidationError(
            _("In test mode only addresses at %(domain)s are accepted.") % {"domain": domain}, code="domain"
        )


def _accepts(validator: EmailValidator | URLValidator, text: str) -> bool:
    try:
        validator(text)
    except ValidationError:
        return False
    return True


def _strip(text: str) -> str:
    """Without what cannot be seen at either end, so that nothing but blanks counts as no value."""
    first = next((i for i, c in enumerate(text) if not _blank(c)), len(text))
    last = next((i for i, c in enumerate(reversed(text)) if not _blank(c)), 0)
    return text[first : len(text) - last]


def _blank(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) in {"Cf", "Cc"}


_UNSEEN = {"Cc", "Cn", "Cs", "Zl", "Zp"}
"""Unicode categories that no property can hold: control characters, what is no character, lone surrogates, and the
separators of lines and paragraphs."""

_DIRECTIONS = set(
    "\N{LEFT-TO-RIGHT EMBEDDING}\N{RIGHT-TO-LEFT EMBEDDING}\N{POP DIRECTIONAL FORMATTING}"
    "\N{LEFT-TO-RIGHT OVERRIDE}\N{RIGHT-TO-LEFT OVERRIDE}\N{LEFT-TO-RIGHT ISOLATE}\N{RIGHT-TO-LEFT ISOLATE}"
    "\N{FIRST STRONG ISOLATE}\N{POP DIRECTIONAL ISOLATE}"
)
"""Characters that turn the direction of writing, by which a name could pose as another one."""
