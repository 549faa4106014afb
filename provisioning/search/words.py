"""The words of a text, as the search index holds them: in lowercase, without accents, each emoji a word of its own.

`index` has the same rules in SQL for PostgreSQL. On SQLite, the index calls `index_words`.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import chain

TAIL, END = 7, 4
"""How many of the last digits of a phone number are indexed: they are the same with and without its country code."""
LONGEST = 255

LETTERS = dict(zip("łŁøØđĐðÐħĦıςΣ", "llooddddhhiσσ", strict=True))  # noqa: RUF001
"""Letters that Unicode doesn't take apart into a letter and its accent. Capitals are for PostgreSQL's C locale."""
LIGATURES = {"ß": "ss", "ẞ": "ss", "æ": "ae", "Æ": "ae", "œ": "oe", "Œ": "oe", "þ": "th", "Þ": "th"}
APOSTROPHES = "'’‘ʼ`´"  # noqa: RUF001

# The expressions below work in Python and in PostgreSQL.
ACCENTS = r"[\u0300-\u036f\u200d\u20e3\ufe00-\ufe0f\U0001f3fb-\U0001f3ff]"
"""Also what joins emoji, and selects their style and skin tone."""
_EMOJI = r"\u2190-\u2bff\U0001f000-\U0001faff"
_SEPARATORS = (
    r"\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u00d7\u00f7"
    r"\u02b9-\u02bf\u2000-\u206f\u2e00-\u2e7f\u3000-\u3003\u3008-\u3020\ufffd"
)
WORD = rf"[{_EMOJI}]|[^{_SEPARATORS}{_EMOJI}]+"
EXTENSION = "[a-z].*"
"""What may follow a phone number."""

_FOLD = str.maketrans(LETTERS | LIGATURES)
_JOIN = str.maketrans("", "", APOSTROPHES)


def spellings(text: str) -> list[list[str]]:
    """Return the words of a text, and those without its apostrophes if there are any: `o neill`, `oneill`."""
    joined = text.translate(_JOIN)
    return [found for each in dict.fromkeys((text, joined)) if (found := words(each))]


def words(text: str) -> list[str]:
    """Return the words of a text, as the index holds them."""
    bare = re.sub(ACCENTS, "", unicodedata.normalize("NFKD", text))
    folded = unicodedata.normalize("NFKC", bare).lower().translate(_FOLD)
    return [word[:LONGEST] for word in re.findall(WORD, folded.replace("\0", " "))]


def index_words(phone: str, *texts: str) -> str:
    """Return everything by which an account with these values is found."""
    found = chain.from_iterable(spellings(" ".join(texts)))
    digits = re.sub("[^0-9]", "", re.sub(EXTENSION, "", phone, flags=re.IGNORECASE))
    return " ".join(dict.fromkeys([*found, digits, digits[-TAIL:], digits[-END:]]))
