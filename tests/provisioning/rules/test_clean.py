"""Values are cleaned as people write them, and invalid ones refused."""

import unicodedata

import pytest
from django.core.exceptions import ValidationError
from django.utils import translation
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as some
from pytest_django import Settings

from provisioning import rules
from provisioning.rules import RULES, Rule, normalization
from provisioning.rules.normalization import MAX_MARKS
from tests.provisioning.rules.problems import ACME, problems
from tests.provisioning.values import CASES


def test_only_corrected_values_are_validated_but_country_with_state() -> None:
    assert rules.clean(ACME | {"email": "new@example.com"}, only={"email"}) == {"email": "new@example.com"}
    assert rules.clean(ACME | {"state_code": "CA"}, only={"state_code"}) == {"state_code": "CA"}
    with pytest.raises(ValidationError) as raised:
        rules.clean(ACME | {"country_code": "CA"}, only={"country_code"})
    assert raised.value.error_dict.keys() == {"state_code"}


@pytest.mark.parametrize("value", [True, 7, [], {}, ["a"], b"a"])
def test_a_value_that_is_not_text_is_refused(value: object) -> None:
    assert problems(ACME | {"username": value}) == {"username": ["type"]}


@pytest.mark.parametrize("value", ["true", "on", 1, 0, []])
def test_a_consent_is_true_or_false(value: object) -> None:
    assert problems(ACME | {"gdpr_opt_out": value}) == {"gdpr_opt_out": ["type"]}


@pytest.mark.parametrize("blank", ["", " ", "\t\n", "\u00a0", "\u200b", "\ufeff", None])
def test_an_invisible_value_is_no_value(blank: str | None) -> None:
    assert problems(ACME | {"first_name": blank}) == {"first_name": ["required"]}


@pytest.mark.parametrize("break_", ["\n", "\r", "\x0b", "\x00", "\u2028", "\u2029", "\x85", "\u202e", "\u200b"])
@pytest.mark.parametrize("name", [n for n in ACME if n not in ("country_code", "state_code")])
def test_invisible_characters_are_removed_or_refused(name: str, break_: str) -> None:
    value = ACME[name]
    try:
        assert break_ not in rules.clean(ACME | {name: value[:2] + break_ + value[2:]})[name]
    except ValidationError as problem:
        assert problem.error_dict.keys() == {name}  # noqa: PT017


@pytest.mark.parametrize("api", ["v2", "v3"])
@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.kind is str])
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(data=some.data())
def test_a_value_is_stored_and_sent_as_it_was_validated(
    settings: Settings, api: str, name: str, data: some.DataObject
) -> None:
    """Validating it again changes nothing, in the sandbox, in a correction, or when the form is sent again."""
    settings.CONSTANT_CONTACT_API = api
    rule = rules.active()[name]
    value = data.draw(values_of(name))
    try:
        cleaned = rule.clean(value)
    except ValidationError:
        return

    assert rule.clean(cleaned) == cleaned
    assert len(cleaned) <= rule.max_length
    assert cleaned == cleaned.strip() or rule.is_secret
    if rule.is_secret:
        assert cleaned == value


def values_of(name: str) -> some.SearchStrategy[str]:
    """Generate values that are almost valid for this property, with any Unicode characters in and around them."""
    right = [value for cases in CASES.values() for case in cases if isinstance(value := case.changes.get(name), str)]
    odd = some.text(some.characters(), max_size=3) | some.text(
        some.characters(categories=["Cf", "Zs", "Mn", "Lm", "Nd", "So"]), max_size=3
    )
    spoiled = some.builds(
        lambda value, odd, at: value[:at] + odd + value[at:], some.sampled_from(right), odd, some.integers(0, 20)
    )
    return spoiled | some.text(max_size=40)


@pytest.mark.parametrize("name", ["first_name", "email", "website", "phone", "username", "password"])
def test_a_far_too_long_text_is_refused_quickly(name: str) -> None:
    """Composing letters takes quadratic time in the number of combining marks that are out of order."""
    marks = "a" + "\u0315\u0300\u0327" * 100_000
    assert problems(ACME | {name: marks}) == {name: ["max_length"]}


@pytest.mark.parametrize(("marks", "is_kept"), [(1, True), (MAX_MARKS - 1, True), (MAX_MARKS, False)])
def test_a_joiner_is_kept_only_near_its_letter(marks: int, *, is_kept: bool) -> None:
    """Otherwise, finding the letters of many joiners takes quadratic time."""
    name = "\u0915" + "\u094d" * marks + "\N{ZERO WIDTH JOINER}\u0915"
    assert ("\N{ZERO WIDTH JOINER}" in normalization.one_line(name)) is is_kept


@pytest.mark.parametrize("website", ["http://[::1]/\ud800", "example.com/\udfff", "http://\ud800.example.com"])
def test_half_a_surrogate_pair_in_a_website_is_refused(website: str) -> None:
    with pytest.raises(ValidationError):
        RULES["website"].clean(website)


def test_letters_newer_than_pythons_unicode_are_letters() -> None:
    assert unicodedata.category("\U0001faff") == "Cn"
    assert (
        rules.clean(ACME | {"organization_name": "Joy \U0001faff Studio"})["organization_name"]
        == "Joy \U0001faff Studio"
    )


def test_a_line_break_at_the_end_of_a_password_is_refused() -> None:
    assert "password" in problems(ACME | {"password": "secret.1\n"})


@pytest.mark.parametrize("name", ["Zoë", "\u0641\u0627\u200c\u0637", "O'Neill", "👩\u200d💻", "Nguyễn Văn A", "山田"])
def test_names_are_accepted_as_people_write_them(name: str) -> None:
    assert rules.clean(ACME | {"first_name": name})["first_name"] == name


def test_an_email_address_needs_an_internet_domain() -> None:
    assert problems(ACME | {"email": "ann@localhost"}) == {"email": ["email"]}


@pytest.mark.parametrize(
    ("language", "empty", "letters"),
    [
        ("en", "leave this empty", "Use letters, not a web address."),
        ("fr", "laissez ce champ vide", "Utilisez des lettres, pas d\u2019adresse web."),
        ("es", "deje este campo vacío", "Use letras, no direcciones web."),
    ],
)
def test_an_error_says_what_to_do_instead(language: str, empty: str, letters: str) -> None:
    with translation.override(language):
        with pytest.raises(ValidationError) as raised:
            rules.clean(ACME | {"website": "n/a", "first_name": "www.example.com"})
        told = raised.value.message_dict

    assert empty in str(told["website"])
    assert told["first_name"] == [letters]


def test_in_test_mode_only_the_vendors_test_domain_is_accepted(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_TEST_ACCOUNTS = True
    assert problems(ACME) == {"email": ["domain"]}
    assert problems(ACME | {"email": "a@sub.nullmailer.com"}) == {"email": ["domain"]}
    assert rules.clean(ACME | {"email": "Ann@NullMailer.com"})["email"] == "Ann@NullMailer.com"


def test_a_new_password_is_compared_with_the_unchanged_username(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_API = "v3"
    with pytest.raises(ValidationError):
        rules.clean(ACME | {"username": "acme-inc", "password": "acme-inc 1"}, only={"password"})


def test_a_valid_value_is_validated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    names = set(rules.CUSTOMER_PROPERTIES)
    cleaned = rules.clean(ACME, only=names)
    monkeypatch.setattr(Rule, "clean", lambda *_: pytest.fail("cleaned again"))

    assert rules.clean(cleaned, only=names) is cleaned


def test_a_valid_value_is_validated_again_among_other_properties() -> None:
    cleaned = rules.clean(ACME, only={"email"})

    with pytest.raises(ValidationError):
        rules.clean(cleaned, only=set(rules.CUSTOMER_PROPERTIES))
