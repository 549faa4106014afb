"""Masking of secrets in what Constant Contact answers, before it is stored or logged."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from html import escape
from urllib.parse import quote, quote_plus

from provisioning.constant_contact.answers import Answer, Problem

MASK = "•••"


def mask(text: str, secrets: tuple[str, ...], password: str = "") -> str:
    """Mask `secrets` in `text`, in every spelling, and the value of every field named like a token or password.

    A customer's `password` may be a word that the answer needs, like `organization`. It is masked where it is a whole
    word, and left alone inside other words and in property names.
    """
    for secret in filter(None, secrets):
        for spelling in _spellings(secret):
            text = text.replace(spelling, MASK)
    for spelling in _spellings(password) if password else ():
        text = re.sub(_whole_word(spelling), MASK, text)
    bare = re.sub("[\0�]", "", text)
    if bare != text and any(secret in bare for secret in (*secrets, password) if secret):
        return MASK  # The secret has a different encoding from the rest of the text.
    return re.sub(r'("[^"]*(?:token|password)"\s*:\s*")(?:[^"\\]|\\.)*', rf"\g<1>{MASK}", text)


def mask_words(answer: Answer, values: Iterable[str]) -> Answer:
    """Return the answer without these values, where they are whole words: for those who must not read a customer's."""
    spellings = {each for value in values for case in {value, value.lower()} for each in _spellings(case)}
    found = re.compile("|".join(map(_whole_word, sorted(spellings, key=len, reverse=True))) or "(?!)")
    problems = (replace(each, error_message=found.sub(MASK, each.error_message)) for each in answer.problems)
    return replace(answer, body=found.sub(MASK, answer.body), problems=tuple(problems))


def _spellings(secret: str) -> set[str]:
    in_json = json.dumps(secret)[1:-1]
    in_url = {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    return {
        secret,
        in_json,
        in_json.replace("/", r"\/"),
        json.dumps(secret, ensure_ascii=False)[1:-1],
        escape(secret),
        *in_url,
    }


def _whole_word(secret: str) -> str:
    """Return a regular expression that matches the secret as a whole word."""
    before = r"(?<![\w@-])(?<!\w\.)" if re.match(r"\w", secret) else ""
    after = r"(?![\w@-])(?!\.\w)" if re.search(r"\w$", secret) else ""
    if re.fullmatch("[a-z_]+", secret):  # It may also be a key, or the name of a property in a pointer.
        before, after = before + "(?<!#/)", after + r'(?!"\s*:)'
    return before + re.escape(secret) + after


def mask_problem(problem: Problem, secrets: tuple[str, ...], password: str) -> Problem:
    """Return the problem with `secrets` and the customer's `password` masked in each of its texts."""
    key, message = mask(problem.error_key, secrets, password), mask(problem.error_message, secrets, password)
    return Problem(key, message, mask(problem.property, secrets))
