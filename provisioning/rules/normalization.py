"""Normalization of each kind of text before a rule validates it.

Pasted text may contain invisible characters, and letters and digits that only look like the usual ones. Each function
here returns the text that is validated, stored, and sent. None raises an exception: what can't be normalized is
returned for the rule to refuse. All are idempotent, so that staff and customers can correct one property and keep the
others as they are.

Letters are composed (NFC) in text for people, and folded (NFKC) in text for machines; see
https://unicode.org/reports/tr15/.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

import idna
from django.utils.encoding import iri_to_uri

JOINERS: Final = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
"""Joiners: they shape words in some scripts, and combine emoji."""
SELECTORS: Final = "\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"
"""Variation selectors, as ranges: they choose among the shapes of an emoji or an ideograph."""
MAX_MARKS: Final = 30
"""More marks on one character are in no language (https://unicode.org/reports/tr15/#Stream_Safe_Text_Format)."""
VISIBLE_MARKS: Final = frozenset(
    [*map(chr, range(0x600, 0x606)), *"\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"],
)
"""Visible format characters (Cf): signs around or over numbers in Arabic, Syriac and Kaithi."""
FLAG = re.compile("(\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f)")
"""The flag of a country within a country, like Scotland's: a black flag, tags that say which one, and an end tag."""

_JOINING = re.compile(f"[{JOINERS}{SELECTORS}]+")
_UNSEEN = {"\N{COMBINING GRAPHEME JOINER}", "\N{OBJECT REPLACEMENT CHARACTER}"}
"""Invisible too: the second is what dictation and pictures in rich text leave behind."""
_BLANKS = re.compile("[\\s\u115f\u1160\u2800\u3164\uffa0]+")
"""Whitespace, including line breaks, and blank letters of Hangul and Braille."""
_KEYPAD = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999")
_DASHES = dict.fromkeys(map(ord, "\u2010\u2012\u2013\u2014\u2015\u2212"), "-")
_VANITY = re.compile(r"\+?[ (]*[01]?(?:[ ().\-/]*[0-9]){3,6}[ ).\-/]*[A-Za-z][A-Za-z .\-]*")
"""A number spelled with keypad letters, like 1-800-FLOWERS. Letters after a complete number don't match, and neither
does a word before another number, like an extension."""
_EXTENSION = re.compile(r"(?<![A-Za-z])(?:ext|extension|poste|x)\.? ?[0-9]+", re.IGNORECASE)
_STOPS = " .,;。"
"""Punctuation after an address that is copied along with it."""
_SCHEME = re.compile(r"https?://", re.IGNORECASE)
_BARE_ADDRESS = re.compile(r"[^\s/:?#@]+\.[^\s/:?#@.]{2,}\.?(:[0-9]{1,5})?([/?#].*)?")


def _is_plain(text: str) -> bool:
    """Whether there is nothing to normalize in it but spaces, as in almost all values."""
    return text.isascii() and text.isprintable()


def is_invisible(character: str) -> bool:
    """Whether it is an invisible format character (Cf) without a function between letters, like a byte order mark."""
    return (
        unicodedata.category(character) == "Cf" and character not in JOINERS and character not in VISIBLE_MARKS
    ) or character in _UNSEEN


def trim(text: str) -> str:
    """Strip blank and invisible characters from both ends, and nothing else.

    For the partner's identifiers, which another system compares character by character.
    """
    first = next((i for i, c in enumerate(text) if not _is_blank(c)), len(text))
    last = next((i for i, c in enumerate(reversed(text)) if not _is_blank(c)), 0)
    return text[first : len(text) - last]


def one_line(text: str) -> str:
    """Return text for people, such as a name: on one line, with single spaces, letters composed, nothing invisible.

    A joiner or variation selector stays where it shapes a character, as in Persian or an emoji; a flag stays whole.
    """
    if _is_plain(text):
        return " ".join(text.split())
    text = "".join(part if FLAG.fullmatch(part) else _visible(part) for part in FLAG.split(text))
    text = unicodedata.normalize("NFC", text)
    text = _BLANKS.sub(" ", text)
    text = _JOINING.sub(lambda run: _joined(text, run), text)
    return unicodedata.normalize("NFC", re.sub(" +", " ", text)).strip()


def compact(text: str) -> str:
    """Return text for machines, such as a code or an address: like `one_line`, but folded, and without any joiner.

    Folding turns letters and digits that only look different into the usual ones, such as full-width ones into ASCII.
    """
    if _is_plain(text):
        return " ".join(text.split())
    visible = unicodedata.normalize("NFKC", _JOINING.sub("", _visible(text)))
    return _BLANKS.sub(" ", visible).strip()


def lowercase(text: str) -> str:
    """Apply `compact`, and turn all letters into lowercase: phone keyboards start with a capital."""
    return compact(text).lower()


def country(text: str) -> str:
    """Apply `compact`, and turn UK, which people enter, into GB, the United Kingdom's code in ISO 3166-1."""
    text = compact(text)
    return "GB" if text == "UK" else text


def phone(text: str) -> str:
    """Apply `compact`, and turn digits of every script into ASCII, all dashes into hyphens, and letters into digits.

    Letters are those of a keypad (ITU-T E.161): 1-800-FLOWERS becomes 1-800-3569377, because a rule counts digits. An
    extension keeps its letters. The `tel:` of a link (RFC 3966) is dropped.
    """
    text = re.sub(r"^(tel: ?)+", "", compact(text).translate(_DASHES), flags=re.IGNORECASE)
    text = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)
    extension = _EXTENSION.search(text)
    number = text[: extension.start()] if extension else text
    if _VANITY.fullmatch(number):
        number = number.upper().translate(_KEYPAD)
    return number + text[len(number) :]


def email(text: str) -> str:
    """Apply `compact`, drop what is often copied along with an address, and encode its domain in ASCII (IDNA).

    Dropped are a name before `<…>`, the `mailto:` and the query of a link (RFC 6068), and punctuation at the end. A
    domain has many spellings in Unicode and one in ASCII, which is validated, stored, sent, and compared. The part
    before the @ keeps its case, which is its mail server's to interpret (RFC 5321, 2.4).
    """
    text = compact(text).rstrip(_STOPS)
    if named := re.fullmatch(r"[^<>]*<([^<>]*)>", text):
        text = named[1].strip()
    text = re.sub(r"^(?:mailto: ?)+([^?]*).*", r"\1", text, flags=re.IGNORECASE).rstrip(_STOPS)
    mailbox, at, domain = text.rpartition("@")
    return mailbox + at + _ascii_host(domain)


def website(text: str) -> str:
    """Apply `compact`, and return a complete URL: with https:// before a bare address, and all encoded in ASCII.

    The host is encoded by IDNA, the rest as in RFC 3987, 3.1. Text that is no web address is only compacted.
    """
    text = compact(text)
    if _BARE_ADDRESS.fullmatch(text):
        text = f"https://{text}"
    if not (scheme := _SCHEME.match(text)):
        return text
    host, rest = re.fullmatch(r"([^/?#]*)(.*)", text[scheme.end() :], re.DOTALL).groups()  # type: ignore[union-attr]
    name, colon, port = host.partition(":")
    try:
        path = iri_to_uri(rest)
    except UnicodeEncodeError:  # Half of a surrogate pair, which the rule refuses.
        return text
    return scheme[0].lower() + _ascii_host(name.rstrip(_STOPS)) + colon + port + path


def _ascii_host(name: str) -> str:
    """Encode an internationalized name in ASCII (https://unicode.org/reports/tr46/); leave all others unchanged."""
    if name.isascii():
        return name
    try:
        return idna.encode(name, uts46=True).decode()
    except idna.IDNAError:
        return name


def _visible(text: str) -> str:
    return text if text.isascii() else "".join(character for character in text if not is_invisible(character))


def _joined(text: str, run: re.Match[str]) -> str:
    """Keep a selector and a joiner only at characters that they can shape; at Latin letters, they only disguise a word.

    A digit has a selector if it is on a key.
    """
    before, after = _base(text[max(0, run.start() - MAX_MARKS) : run.start()]), text[run.end() :][:1]
    if not _is_shaped(before):
        return run[0][:1] if after == "\N{COMBINING ENCLOSING KEYCAP}" and run[0][0] not in JOINERS else ""
    selector = "" if run[0][0] in JOINERS else run[0][0]
    joiner = next((c for c in run[0] if c in JOINERS), "") if _is_shaped(after) else ""
    return selector + joiner


def _base(text: str) -> str:
    """Return the last character that is not only a mark on another one."""
    return next((c for c in reversed(text) if not (unicodedata.combining(c) or _JOINING.match(c))), "")


def _is_shaped(character: str) -> bool:
    return character > "\x7f" and unicodedata.category(character) not in {"Lu", "Ll"}


def _is_blank(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) in {"Cf", "Cc"}
