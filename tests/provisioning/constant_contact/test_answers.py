"""What each answer means."""

import pytest

from provisioning.constant_contact import Meaning, Problem
from provisioning.constant_contact.answers import judge, parse_json, parse_problems, plain

GATEWAY = "mashery.not.authorized"


@pytest.mark.parametrize(
    ("status", "error_key", "meaning"),
    [
        (400, "validation.failed", Meaning.REFUSED),
        (400, "", Meaning.REFUSED),
        (401, "", Meaning.STOP),
        (401, "http.unauthorized", Meaning.STOP),
        (403, f"{GATEWAY}.over.qps", Meaning.OVER_RATE),
        (403, f"{GATEWAY}.over.ratelimit", Meaning.OVER_QUOTA),
        (403, f"{GATEWAY}.inactive", Meaning.STOP),
        (405, "", Meaning.STOP),
        (406, "", Meaning.STOP),
        (409, "", Meaning.TAKEN),
        (415, "", Meaning.STOP),
    ],
)
def test_an_answer_of_the_document_means_what_the_document_says(status: int, error_key: str, meaning: Meaning) -> None:
    assert judge(status, (Problem(error_key, ""),)) == meaning


@pytest.mark.parametrize("status", [100, 300, 302, 307, 402, 404, 410, 418, 422, 429, 500, 502, 503, 504, 596, 999])
def test_an_answer_that_the_document_does_not_know_is_unknown(status: int) -> None:
    assert judge(status, ()) == Meaning.UNKNOWN


def test_a_403_without_a_known_key_is_unknown() -> None:
    assert judge(403, ()) == Meaning.UNKNOWN
    assert judge(403, (Problem(f"{GATEWAY}.something.new", ""),)) == Meaning.UNKNOWN


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ({"error_key": "json.regex", "error_message": "#/email: not an address"}, "email"),
        ({"error_key": "json.field.missing", "error_message": "#/state_code is required"}, "state_code"),
        ({"error_key": "account.username", "error_message": "already in use"}, "username"),
        ({"error_key": "username"}, "username"),
        ({"error_key": "phone", "error_message": None}, "phone"),
    ],
)
def test_an_error_names_its_property_in_the_message_or_in_the_key(entry: dict[str, str], named: str) -> None:
    assert parse_problems([entry])[0].property == named


def test_errors_are_read_from_an_array_and_from_a_single_object() -> None:
    one = {"error_key": "k", "error_message": "m"}
    assert parse_problems([one, one]) == (Problem("k", "m", "k"),) * 2
    assert parse_problems(one) == (Problem("k", "m", "k"),)


@pytest.mark.parametrize("body", [None, [], {}, "text", 3, [None, 1, "x"], {"message": "no key"}])
def test_an_answer_without_errors_in_it_gives_none(body: object) -> None:
    assert parse_problems(body) == ()


@pytest.mark.parametrize("text", ["", "<html>", "{", "[" * 100_000])
def test_what_is_not_json_is_nothing(text: str) -> None:
    assert parse_json(text) is None


def test_texts_are_made_fit_for_every_database() -> None:
    assert plain("a\0b\ud800c") == "a�b?c"
