"""The meaning of each answer."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from provisioning.constant_contact import Meaning, Problem
from provisioning.constant_contact.answers import (
    classify,
    parse_json,
    parse_problems,
    read_mashery_code,
    read_retry_after,
    storable,
)

MASHERY = "mashery.not.authorized"


@pytest.mark.parametrize(
    ("status", "error_key", "meaning"),
    [
        (400, "validation.failed", Meaning.REFUSED),
        (400, "", Meaning.REFUSED),
        (401, "", Meaning.STOP),
        (401, "http.unauthorized", Meaning.STOP),
        (403, f"{MASHERY}.over.qps", Meaning.OVER_RATE),
        (403, f"{MASHERY}.over.ratelimit", Meaning.OVER_QUOTA),
        (403, f"{MASHERY}.inactive", Meaning.STOP),
        (405, "", Meaning.NOTHING_CREATED),
        (406, "", Meaning.NOTHING_CREATED),
        (409, "", Meaning.TAKEN),
        (415, "", Meaning.NOTHING_CREATED),
    ],
)
def test_documented_answers_have_their_documented_meaning(status: int, error_key: str, meaning: Meaning) -> None:
    assert classify(status, (Problem(error_key, ""),)) == meaning


@pytest.mark.parametrize("status", [100, 402, 408, 418, 422, 500, 502, 503, 504, 596, 999])
def test_undocumented_answers_are_unknown(status: int) -> None:
    assert classify(status, ()) == Meaning.UNKNOWN


@pytest.mark.parametrize("status", [300, 301, 302, 307, 308, 404, 405, 406, 407, 410, 415])
def test_answers_from_before_the_endpoint_mean_nothing_was_created(status: int) -> None:
    assert classify(status, ()) == Meaning.NOTHING_CREATED


def test_a_403_without_a_known_key_means_nothing_was_created() -> None:
    assert classify(403, ()) == Meaning.NOTHING_CREATED
    assert classify(403, (Problem(f"{MASHERY}.something.new", ""),)) == Meaning.NOTHING_CREATED


def test_a_429_without_a_known_key_means_over_the_rate() -> None:
    assert classify(429, ()) == Meaning.OVER_RATE
    assert classify(429, (Problem("new", ""),)) == Meaning.OVER_RATE


@pytest.mark.parametrize(
    ("header", "page", "meaning"),
    [
        ("ERR_403_DEVELOPER_INACTIVE", "", Meaning.STOP),
        ("ERR_403_DEVELOPER_OVER_QPS", "", Meaning.OVER_RATE),
        ("ERR_403_DEVELOPER_OVER_RATE", "", Meaning.OVER_QUOTA),
        ("ERR_403_DEVELOPER_OVER_RATELIMIT", "", Meaning.OVER_QUOTA),
        ("ERR_403_SOMETHING_NEW", "<h1>Gateway</h1>", Meaning.NOTHING_CREATED),
        ("", "<h1>Developer Inactive</h1>", Meaning.STOP),
        ("", "<html><body><H1>403 Developer Over Qps</H1>", Meaning.OVER_RATE),
        ("", "<h1> Developer Over Rate </h1>", Meaning.OVER_QUOTA),
        ("", "<h1>Developer Portal</h1>", Meaning.NOTHING_CREATED),
        ("", "", Meaning.NOTHING_CREATED),
    ],
)
def test_mashery_codes_are_read_from_the_header_or_the_page(header: str, page: str, meaning: Meaning) -> None:
    headers = {"X-Mashery-Error-Code": header} if header else {}
    assert classify(403, (), read_mashery_code(headers, page)) == meaning


DATE = "Fri, 27 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("said", "wait"),
    [
        ("0", timedelta()),
        ("120", timedelta(minutes=2)),
        (" 120 ", timedelta(minutes=2)),
        ("9" * 400, timedelta(days=1)),
        ("Fri, 27 Nov 2026 12:01:30 GMT", timedelta(seconds=90)),
        ("Fri, 27 Nov 2026 12:01:30 -0000", timedelta(seconds=90)),
        ("Fri, 27 Nov 2026 11:00:00 GMT", timedelta()),
        ("Fri, 27 Nov 2099 11:00:00 GMT", timedelta(days=1)),
        ("", None),
        ("-5", None),
        ("soon", None),
        ("1.5", None),
        ("٣", None),
        ("Fri, 99 Nov 2026 11:00:00 GMT", None),
        ("Fri, 27 Nov 99999999999999999999 11:00:00 GMT", None),
    ],
)
def test_retry_after_is_a_number_of_seconds_or_a_date(said: str, wait: timedelta | None) -> None:
    assert read_retry_after({"Retry-After": said, "Date": DATE}) == wait


def test_a_retry_after_date_counts_from_now_without_a_date_header() -> None:
    wait = read_retry_after({"Retry-After": format_datetime(datetime.now(UTC) + timedelta(minutes=5), usegmt=True)})
    assert wait is not None
    assert timedelta(minutes=4) < wait <= timedelta(minutes=5)


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
def test_an_error_names_its_property_in_its_message_or_key(entry: dict[str, str], named: str) -> None:
    assert parse_problems([entry])[0].property == named


def test_errors_are_read_from_an_array_or_a_single_object() -> None:
    one = {"error_key": "k", "error_message": "m"}
    assert parse_problems([one, one]) == (Problem("k", "m", "k"),) * 2
    assert parse_problems(one) == (Problem("k", "m", "k"),)


@pytest.mark.parametrize("body", [None, [], {}, "text", 3, [None, 1, "x"], {"message": "no key"}])
def test_a_body_without_errors_has_no_problems(body: object) -> None:
    assert parse_problems(body) == ()


@pytest.mark.parametrize("text", ["", "<html>", "{", "[" * 100_000])
def test_invalid_json_is_read_as_none(text: str) -> None:
    assert parse_json(text) is None


def test_text_is_made_storable_in_every_database() -> None:
    assert storable("a\0b\ud800c") == "a�b?c"
