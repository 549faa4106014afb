"""How each kind of text is put in order before a rule judges it.

What people paste holds characters that nobody sees, and letters and digits that only look like the usual ones. Each
function here gives the text that is judged, stored and sent; given its own result it changes nothing, so that staff
and customers can correct one property and keep the others as they are.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

import idna
from django.utils.encoding import iri_to_uri

JOINERS: Final = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
"""They shape words of some scripts, and emoji of several parts."""
VISIBLE_MARKS: Final = frozenset(
    [*map(chr, range(0x600, 0x606)), *"\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"],
)
"""Format characters (Cf) that can be seen: signs put around or over numbers in Arabic, Syriac and Kaithi."""
FLAG = re.compile("(\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f)")
"""The flag of a country within a country: tags that say which one, between a black flag and an end."""

_BLANKS = re.compile("[\\s\u115f\u1160\u2800\u3164\uffa0]+")
"""White space, line breaks among it, and the letters of Hangul and Braille that are blank."""
_KEYPAD = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999")
_DASHES = dict.fromkeys(map(ord, "\u2010\u2012\u2013\u2014\u2015\u2212"), "-")
_VANITY = re.compile(r"\+?(?:[ ().\-/]*[0-9]){3,7}[ ).\-/]*[A-Za-z][A-Za-z0-9 .\-]*")
"""A number that is spelled on a keypad, like 1-800-FLOWERS. Letters after a whole number are something else."""
_EXTENSION = re.compile(r"(?<![A-Za-z])(?:ext|extension|poste|x)\.? ?[0-9]+", re.IGNORECASE)
_SCHEME = re.compile(r"https?://", re.IGNORECASE)
_BARE_ADDRESS = re.compile(r"[^\s/:?#@]+\.[^\s/:?#@.]{2,}(:[0-9]{1,5})?([/?#].*)?")


def is_invisible(character: str) -> bool:
    """Whether it is a format character that has no look of its own and no place between letters."""
    return (
        unicodedata.category(character) == "Cf" and character not in JOINERS and character not in VISIBLE_MARKS
    ) or character == "\N{COMBINING GRAPHEME JOINER}"


def trim(text: str) -> str:
    """As it is, but for what cannot be seen at either end: for identifiers that are the partner's."""
    first = next((i for i, c in enumerate(text) if not _is_blank(c)), len(text))
    last = next((i for i, c in enumerate(reversed(text)) if not _is_blank(c)), 0)
    return text[first : len(text) - last]


def words(text: str) -> str:
    """A name as it is written: on one line, its letters composed (NFC), nothing in it that nobody sees."""
    text = "".join(part if FLAG.fullmatch(part) else _visible(part) for part in FLAG.split(text))
    text = unicodedata.normalize("NFC", text)
    text = _BLANKS.sub(" ", text)
    text = re.sub(f"[{JOINERS}]+", lambda run: _joiner(text, run), text)
    return unicodedata.normalize("NFC", re.sub(" +", " ", text)).strip()


def compact(text: str) -> str:
    """What computers read: compatibility forms folded (NFKC), nothing invisible left in it."""
    visible = "".join(c for c in _visible(text) if c not in JOINERS)
    return _BLANKS.sub(" ", unicodedata.normalize("NFKC", visible)).strip()


def lowercase(text: str) -> str:
    """`compact`, in lowercase letters: phones begin with a capital one, and end with a blank."""
    return compact(text).lower()


def country(text: str) -> str:
    """`compact`, and the country of most people who write UK; its code is GB."""
    text = compact(text)
    return "GB" if text == "UK" else text


def phone(text: str) -> str:
    """Digits of every script as ASCII, one kind of dash, and the digits that a keypad has for letters."""
    text = re.sub(r"^(tel: ?)+", "", compact(text).translate(_DASHES), flags=re.IGNORECASE)
    text = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)
    extension = _EXTENSION.search(text)
    number = text[: extension.start()] if extension else text
    if _VANITY.fullmatch(number):
        number = number.upper().translate(_KEYPAD)
    return number + text[len(number) :]


def email(text: str) -> str:
    """Without what comes along with a copied address, and with its domain as mail servers know it (IDNA)."""
    text = compact(text)
    if named := re.fullmatch(r"[^<>]*<([^<>]*)>", text):
        text = named[1].strip()
    text = re.sub(r"^(mailto: ?)+", "", text, flags=re.IGNORECASE).rstrip(" .,;")
    mailbox, at, domain = text.rpartition("@")
    return mailbox + at + _ascii_host(domain)


def website(text: str) -> str:
    """A whole URL: https:// put before a bare address, and everything in ASCII, as it goes over the wire."""
    text = compact(text)
    if _BARE_ADDRESS.fullmatch(text):
        text = f"https://{text}"
    if not (scheme := _SCHEME.match(text)):
        return text
    host, rest = re.fullmatch(r"([^/?#]*)(.*)", text[scheme.end() :], re.DOTALL).groups()  # type: ignore[union-attr]
    name, colon, port = host.partition(":")
    return scheme[0].lower() + _ascii_host(name.rstrip(".")) + colon + port + iri_to_uri(rest)


def _ascii_host(name: str) -> str:
    """An internationalized name in its ASCII form; every other one, and one that is none, as it is."""
    if name.isascii():
        return name
    try:
        return idna.encode(name, uts46=True).decode()
    except idna.IDNAError:
        return name


def _visible(text: str) -> str:
    return text if text.isascii() else "".join(character for character in text if not is_invisible(character))


def _joiner(text: str, run: re.Match[str]) -> str:
    """A joiner stays between two characters that it can join; Latin letters it only makes look alike."""
    before, after = text[: run.start()][-1:], text[run.end() :][:1]
    return run[0][0] if before > "\x7f" and after > "\x7f" else ""


def _is_blank(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) in {"Cf", "Cc"}
