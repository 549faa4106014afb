"""The file `.env`, read strictly: a line that would be ignored, or read as something else, is a mistake.

Mistakes name the line and the setting, and never the value, which may be a secret.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path

NOT_UTF8 = "is not in UTF-8. Save it again in that encoding."


def decode(content: bytes) -> str:
    """Return a text file's content. A byte order mark is dropped. Raises ValueError for another encoding than UTF-8."""
    try:
        text = content.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError:
        raise ValueError(NOT_UTF8) from None
    if "\0" in text:  # UTF-16 without a byte order mark.
        raise ValueError(NOT_UTF8)
    return text


def read_lines(path: Path) -> tuple[str, dict[str, str]]:
    """Return the lines of the file that are settings, and its mistakes, by their place. There need not be a file."""
    try:
        text = decode(path.read_bytes())
    except FileNotFoundError:
        return "", {}
    except OSError as error:
        return "", {path.name: f"{path.name} cannot be read: {error.strerror}."}
    except ValueError as error:
        return "", {path.name: f"{path.name} {error}"}
    lines = {f"{path.name}, line {number}": line for number, line in enumerate(text.splitlines(), start=1)}
    mistakes = {place: f"{place}: {problem}" for place, line in lines.items() if (problem := _problem(line))}
    return "\n".join(line for place, line in lines.items() if place not in mistakes), mistakes


def _problem(line: str) -> str:
    """Return what is wrong with a line; empty if nothing is."""
    if not line.strip() or line.lstrip().startswith("#") or re.match(r"(?:export )?\w+=\S", line):
        return ""
    if re.fullmatch(r"(?:export )?\w+=\s*", line):
        return ""
    if named := re.match(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=", line):
        return f"{named[1]} has spaces around it or its =. Remove them."
    return "This is not a setting. Write NAME=value, on one line."
