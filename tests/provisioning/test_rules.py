"""The rules as data. `tests/signup/test_agreement.py` tests what they allow in the form and the sandbox."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

import pytest
from anyascii import anyascii
from django.core.exceptions import ValidationError
from django.utils import translation
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as some
from pytest_django import Settings

from provisioning import rules
from provisioning.models import Account
from provisioning.rules import RULES, Rule, places
from tests.provisioning.values import CASES

ACME = {
    "username": "acme",
    "password": "secret.1",
    "organization_name": "Acme",
    "first_name": "Ann",
    "last_name": "Lee",
    "email": "ann@example.com",
    "phone": "555-5555",
    "country_code": "US",
    "state_code": "TX",
}


def problems(values: Mapping[str, object]) -> dict[str, list[str]]:
    """Return property → the codes of its errors."""
    with pytest.raises(ValidationError) as raised:
        rules.clean(values)
    return {name: [str(error.code) for error in errors] for name, errors in raised.value.error_dict.items()}


def test_every_property_of_the_vendors_document_has_its_rule() -> None:
    assert {name: rule.max_length for name, rule in RULES.items() if rule.kind is str} == {
        "billing_locale": 5,
        "country_code": 2,
        "email": 80,
        "first_name": 80,
        "last_name": 80,
        "idp_provider": 20,
        "idp_provider_id": 255,
        "organization_name": 80,
        "partner_account_id": 80,
        "password": 80,
        "phone": 25,
        "state_code": 80,
        "username": 50,
        "website": 255,
    }
    assert {name for name, rule in RULES.items() if rule.kind is bool} == {
        "gdpr_opt_out",
        "managed_site_owner",
        "single_billing",
    }
    required = {name for name, rule in RULES.items() if rule.required}
    assert required == ACME.keys() - {"state_code"}


@pytest.mark.parametrize("name", rules.CUSTOMER_PROPERTIES)
def test_an_account_has_a_column_for_each_property_of_customers(name: str) -> None:
    column: Any = Account._meta.get_field(name)
    if RULES[name].kind is str and not RULES[name].is_secret:
        assert column.max_length == RULES[name].max_length


def test_all_properties_of_an_account_are_cleaned_together() -> None:
    assert (
        rules.clean(ACME | {"first_name": "  Ann ", "surprise": 1})
        == {name: "" if rule.kind is str else False for name, rule in RULES.items()} | ACME
    )


def test_every_problem_of_every_property_is_reported_at_once() -> None:
    found = problems({"username": "A B", "email": "x", "country_code": "US"})
    assert found == {
        "username": ["characters"],
        "email": ["email"],
        "state_code": ["required"],
        **{name: ["required"] for name in ("organization_name", "first_name", "last_name", "phone", "password")},
    }


@pytest.mark.parametrize(
    ("country", "state", "code"),
    [
        ("US", "", "required"),
        ("US", "ON", "choice"),
        ("US", "tx", "choice"),
        ("US", "TX\n", None),
        ("US", "DC", None),
        ("US", "PR", None),
        ("US", "AE", None),
        ("CA", "", "required"),
        ("CA", "TX", "choice"),
        ("CA", "NU", None),
        ("GB", "", None),
        ("GB", "TX", None),
    ],
)
def test_a_state_is_required_for_two_countries_and_dropped_for_others(
    country: str, state: str, code: str | None
) -> None:
    values = ACME | {"country_code": country, "state_code": state}
    if code:
        assert problems(values) == {"state_code": [code]}
    else:
        assert rules.clean(values)["state_code"] == (state.strip() if country != "GB" else "")


def test_all_states_provinces_and_countries_are_offered() -> None:
    assert len(rules.states("US")) == 50 + 1 + 5 + 3 + 3  # DC, the territories, the armed forces, and free associates
    assert len(rules.states("CA")) == 13
    assert rules.states("FR") == {}
    assert len(RULES["country_code"].codes) == 249


@pytest.mark.parametrize("language", ["en", "fr", "es"])
class TestPlaceNames:
    def test_places_are_sorted_by_the_readers_alphabet(self, language: str) -> None:
        with translation.override(language):
            countries = [name for _, name in RULES["country_code"].choices()[2:]]
            by_country = [list(rules.states(country).values()) for country in ("US", "CA")]

        for names in (countries, *by_country):
            assert names == sorted(names, key=anyascii_lower)

    def test_countries_have_short_names_in_natural_order(self, language: str) -> None:
        with translation.override(language):
            names = dict(rules.flatten(RULES["country_code"].choices())).values()

        told_apart = re.compile("[Pp]art|Antil|Royaume|Malv|Keeling|^UK")
        odd = re.compile(r"\(|, (La|État)|Repúblic?a d(e|el) (?!Congo|Dem)|Principado|y[A-Z]")
        assert [name for name in names if odd.search(name) and not told_apart.search(name)] == []

    def test_kosovo_is_offered_if_the_partner_says_so(self, language: str, settings: Settings) -> None:
        assert "country_code" in problems(ACME | {"country_code": "XK"})
        settings.CONSTANT_CONTACT_KOSOVO = True

        assert rules.clean(ACME | {"country_code": "XK"})["country_code"] == "XK"
        with translation.override(language):
            names = [name for _, name in rules.active()["country_code"].choices()]
        assert "Kosovo" in names
        assert names[2:] == sorted(names[2:], key=anyascii_lower)

    def test_typing_uk_selects_the_united_kingdom(self, language: str) -> None:
        """A browser selects the first name in the list that begins with what is typed."""
        with translation.override(language):
            code = next(code for code, name in RULES["country_code"].choices() if name.lower().startswith("uk"))

        assert code == "GB"


@pytest.mark.parametrize(
    ("language", "names"),
    [
        ("en", {"US": "United States", "BS": "Bahamas", "NR": "Nauru", "VI": "U.S. Virgin Islands"}),
        (
            "fr",
            {
                "US": "États-Unis",
                "MH": "Îles Marshall",
                "GY": "Guyana",
                "GF": "Guyane française",
                "SZ": "Eswatini",
                "PS": "Palestine",
                "RE": "La Réunion",
            },
        ),
        (
            "es",
            {
                "SZ": "Esuatini",
                "TT": "Trinidad y Tobago",
                "AD": "Andorra",
                "CY": "Chipre",
                "TD": "Chad",
                "DJ": "Yibuti",
            },
        ),
    ],
)
def test_countries_have_the_names_that_customers_know(language: str, names: dict[str, str]) -> None:
    with translation.override(language):
        assert dict(RULES["country_code"].choices()).items() >= names.items()


def test_our_own_names_are_for_existing_countries() -> None:
    assert places.NAMES.keys() <= {*RULES["country_code"].codes, "XK"}
    assert places.STATE_NAMES.keys() <= rules.states("US").keys()


def anyascii_lower(name: str) -> str:
    return anyascii(name).lower()


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
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(data=some.data())
def test_a_value_is_stored_and_sent_as_it_was_validated(
    settings: Settings, api: str, name: str, data: some.DataObject
) -> None:
    """Validating it again changes nothing, in the sandbox, in a correction, or when the form is sent again."""
    settings.CONSTANT_CONTACT_API = api
    rule = rules.active()[name]
    value = data.draw(values_of(name))
    try:
        judged = rule.clean(value)
    except ValidationError:
        return

    assert rule.clean(judged) == judged
    assert len(judged) <= rule.max_length
    assert judged == judged.strip() or rule.is_secret
    if rule.is_secret:
        assert judged == value


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


def test_in_test_mode_only_the_vendors_test_domain_is_accepted(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_TEST_ACCOUNTS = True
    assert problems(ACME) == {"email": ["domain"]}
    assert problems(ACME | {"email": "a@sub.nullmailer.com"}) == {"email": ["domain"]}
    assert rules.clean(ACME | {"email": "Ann@NullMailer.com"})["email"] == "Ann@NullMailer.com"


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_browser_hints_match_the_rules(rule: Rule) -> None:
    hints = rule.attributes()
    assert hints.get("data-max-length", str(rule.max_length)) == str(rule.max_length)
    assert "maxlength" not in hints  # With it, browsers cut off pasted text.
    if "pattern" in hints:
        assert re.fullmatch(hints["pattern"], "abc.1-x_@y")
        assert not re.fullmatch(hints["pattern"], "a!")


@pytest.mark.parametrize("language", ["en", "fr", "es"])
@pytest.mark.parametrize("api", ["v2", "v3"])
def test_no_line_breaks_between_the_signs_that_are_allowed(api: str, language: str) -> None:
    signs = re.compile(r"(?:[^\w\s]|_) (?:[^\w\s]|_)(?!\S)")
    with translation.override(language):
        told = [text for rule in rules.APIS[api].values() for text in (rule.help(), rule.error_of_characters())]

    assert [text for text in told if signs.search(text)] == []
    for list_of_signs in ("@ . - _", "+ ( ) - . / #"):
        assert list_of_signs.replace(" ", "\u00a0") in "".join(told)


def test_hints_help_phones_and_password_managers() -> None:
    assert RULES["email"].attributes()["inputmode"] == "email"
    assert RULES["username"].attributes()["autocapitalize"] == "none"
    assert RULES["password"].attributes()["autocomplete"] == "new-password"
    assert RULES["password"].attributes()["minlength"] == "6"
    assert "data-max-length" not in RULES["country_code"].attributes()
    assert RULES["password"].attributes()["passwordrules"] == (
        "minlength: 6; maxlength: 80; allowed: upper, lower, digit, [-@._];"
    )
    assert rules.APIS["v3"]["password"].attributes()["passwordrules"] == (
        "minlength: 8; maxlength: 80; allowed: ascii-printable;"
    )


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"username": "anna6"}, {"username": ["min_length"]}),
        ({"username": "Anna+6"}, {}),
        ({"username": "anna 6"}, {"username": ["characters"]}),
        ({"password": "seven77"}, {"password": ["min_length"]}),
        ({"password": "any (printable) character; ünlike in v2"}, {}),
        ({"username": "acme-inc", "password": "my ACME-INC!"}, {"password": ["without"]}),
        ({"username": "acme-inc", "password": "pharmacmes"}, {"password": ["without"]}),
        ({"username": "acme-inc", "password": "incredible"}, {}),
        (
            {"username": "ann.lee+söhne", "password": "SÖHNE & co"},
            {"username": ["characters"], "password": ["without"]},
        ),
        ({"username": "12345678", "password": "0123456789"}, {"password": ["without"]}),
        ({"username": "12345678", "password": "1234 5678"}, {}),
        ({"organization_name": "x" * 51}, {"organization_name": ["max_length"]}),
        ({"first_name": "A", "last_name": "B"}, {"first_name": ["min_length"], "last_name": ["min_length"]}),
        ({"phone": "55555"}, {}),
    ],
)
def test_v3_has_limits_of_its_own(settings: Settings, changes: dict[str, str], found: dict[str, list[str]]) -> None:
    settings.CONSTANT_CONTACT_API = "v3"
    values = ACME | {"username": "acme-inc", "password": "long enough"} | changes
    if found:
        assert problems(values) == found
    else:
        assert rules.clean(values).items() >= changes.items()


def test_a_new_password_is_compared_with_the_unchanged_username(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_API = "v3"
    with pytest.raises(ValidationError):
        rules.clean(ACME | {"username": "acme-inc", "password": "acme-inc 1"}, only={"password"})


def test_partners_can_require_longer_values_but_not_shorter_ones(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_MINIMUM_LENGTHS = {"username": 6, "password": 3}
    assert problems(ACME) == {"username": ["min_length"]}
    assert rules.active()["username"].attributes()["minlength"] == "6"
    assert "At least 6 characters" in rules.active()["password"].help()
    assert rules.active()["password"].min_length == 6


def test_a_valid_value_is_validated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    names = set(rules.CUSTOMER_PROPERTIES)
    judged = rules.clean(ACME, only=names)
    monkeypatch.setattr(Rule, "clean", lambda *_: pytest.fail("judged again"))

    assert rules.clean(judged, only=names) is judged


def test_a_valid_value_is_validated_again_among_other_properties() -> None:
    judged = rules.clean(ACME, only={"email"})

    with pytest.raises(ValidationError):
        rules.clean(judged, only=set(rules.CUSTOMER_PROPERTIES))
