"""No answer and no log line shows a secret, in whatever encoding."""

import json
import logging
from html import escape
from urllib.parse import quote, quote_plus

import pytest

from provisioning.constant_contact import Answer, Meaning
from provisioning.constant_contact.masking import MASK, mask
from provisioning.sandbox import Server
from tests.provisioning.constant_contact.client.calls import (
    ANNA,
    CREDENTIALS,
    KEY,
    PASSWORD,
    SECRET,
    TOKEN,
    ask,
    client,
)
from tests.provisioning.constant_contact.peer import answering


@pytest.mark.parametrize("status", [201, 400, 401, 409, 500])
def test_secrets_repeated_in_an_answer_are_masked(status: int) -> None:
    said = json.dumps(
        {
            "error_key": "k",
            "error_message": f"#/password: {SECRET} for {KEY} and {PASSWORD}",
            "oauth2_token": TOKEN,
            "url": f"/v2?api_key={KEY}",
        }
    )
    answer = ask(answering(status, said))
    for secret in (SECRET, KEY, PASSWORD, TOKEN):
        assert secret not in repr(answer)
    assert MASK in answer.body


@pytest.mark.parametrize("secret", ['quote"d', "back\\slash", "per%cent &", "ümlaut"])
def test_a_secret_is_masked_in_every_spelling(secret: str) -> None:
    for spelled in (secret, json.dumps(secret), quote(secret), quote_plus(secret)):
        masked = mask(f"so {spelled}!", (secret,))
        assert spelled.strip('"') not in masked
        assert MASK in masked


@pytest.mark.parametrize("password", ["password", "organization", "error_key", "value"])
def test_words_that_only_look_like_the_password_stay_readable(password: str) -> None:
    said = [
        {"error_key": "json.value.invalid", "error_message": "#/organization_name: Not a value.value"},
        {"error_key": "json.field.missing", "error_message": "#/password: 8 or more characters."},
        {"error_key": "k", "error_message": f"#/organization: Not '{password}'.", "given": password},
    ]

    answer = ask(answering(400, json.dumps(said)), password=password)

    told = json.loads(answer.body)
    assert [list(each) for each in told] == [list(each) for each in said]
    assert told[:2] == said[:2]
    assert told[2] == {"error_key": "k", "error_message": f"#/organization: Not '{MASK}'.", "given": MASK}
    assert [each.property for each in answer.problems] == ["organization_name", "password", "organization"]


@pytest.mark.parametrize("password", ["hunter2x", "a.b-c@d", "!odd one%", "ümlaut", "Under_score"])
@pytest.mark.parametrize(
    "said", ["{}", "so {}.", "so {}, then", '"{}"', "password={}&x", "<b>{}</b>", "({})", '{{"{}": 1}}', "#/x: {}"]
)
def test_the_password_is_masked_wherever_it_is_a_whole_word(password: str, said: str) -> None:
    assert password not in mask(said.format(password), (), password)


@pytest.mark.parametrize("secret", ["a/b", "<b>&'\"", "č/ß"])
def test_a_secret_is_masked_in_the_spelling_of_any_body(secret: str) -> None:
    for spelled in (
        escape(secret),
        quote(secret, safe=""),
        json.dumps(secret).replace("/", r"\/"),
        json.dumps(secret, ensure_ascii=False),
    ):
        assert spelled.strip('"') not in mask(f"so {spelled}!", (secret,))


ENCODINGS = ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "cp037")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("named", [True, False])
def test_a_page_in_any_encoding_is_masked(encoding: str, named: bool) -> None:
    if encoding == "cp037" and not named:
        return
    page = f"<html><body><h1>č {KEY} and {PASSWORD}</h1></body></html>" if encoding != "cp037" else f"<p>{PASSWORD}"
    content_type = f"Content-Type: text/html; charset={encoding}" if named else "Content-Type: text/html"
    answer = ask(answering(502, page.encode(encoding), content_type))
    assert MASK in answer.body
    assert "canary" not in answer.body
    assert "\0" not in answer.body


def test_a_secret_in_a_different_encoding_masks_the_whole_text() -> None:
    answer = ask(answering(502, b"<p>proxy says: " + PASSWORD.encode("utf-16-le")))
    assert answer.body == MASK


def test_a_secret_in_an_error_key_is_masked() -> None:
    assert KEY not in repr(ask(answering(400, f'{{"error_key": "no.{KEY}"}}')))


def test_the_token_in_a_truncated_body_is_masked() -> None:
    answer = ask(answering(201, f'{{"id": "1", "oauth2_token": "{TOKEN}'))
    assert TOKEN not in answer.body


def test_no_log_line_shows_a_secret_even_at_debug_level(sandbox: Server, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        client(sandbox.url, oauth2_token=True).create(ANNA)
        client("http://127.0.0.1:9", timeout=0.5).create(ANNA)
    logged = " ".join(record.getMessage() for record in caplog.records)
    for secret in (KEY, PASSWORD, SECRET):
        assert secret not in logged


def test_repr_of_credentials_and_answers_shows_no_secret() -> None:
    shown = repr(CREDENTIALS) + repr(Answer(meaning=Meaning.CREATED, oauth2_token=TOKEN))
    for secret in (KEY, PASSWORD, TOKEN):
        assert secret not in shown
