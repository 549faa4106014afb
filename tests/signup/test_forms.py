"""The forms, which have their own texts and order, but take every limit from the rules."""

import uuid
from typing import Any

import pytest
from django import forms
from django.conf import settings as configuration
from django.template.loader import render_to_string
from django.utils import translation
from pytest_django import Settings
from pytest_django.asserts import assertHTMLEqual

from provisioning import rules
from signup.fields import LABELS, NEVER_CACHED
from signup.forms import GROUPS, CorrectionForm, SignupForm
from signup.refusals import CHARACTERS, KEYS, REFUSED
from tests.signup.accounts import CANARY, TYPED, account


def test_each_customer_property_is_a_field_in_the_order_of_the_rules() -> None:
    in_groups = [name for _, names in GROUPS for name in names]

    assert (*in_groups, "gdpr_opt_out") == rules.CUSTOMER_PROPERTIES
    assert set(LABELS) == set(rules.CUSTOMER_PROPERTIES)
    assert list(SignupForm().fields) == list(rules.CUSTOMER_PROPERTIES)


def test_a_fields_message_is_that_of_its_rule() -> None:
    form = SignupForm(TYPED | {"username": "Anna!"})

    assert form.errors == {"username": [rules.RULES["username"].characters_error()]}


@pytest.mark.parametrize("name", rules.CUSTOMER_PROPERTIES)
def test_each_input_has_the_hints_of_its_rule(name: str) -> None:
    attributes = SignupForm().fields[name].widget.attrs

    assert rules.RULES[name].attributes().items() <= attributes.items()


def test_the_fields_have_no_limits_of_their_own(settings: Settings) -> None:
    assert not any(field.validators for field in SignupForm().fields.values())


def test_optional_fields_are_marked() -> None:
    optional = {name for name, field in SignupForm().fields.items() if getattr(field, "is_optional", False)}

    assert optional == {"website"}


def test_a_person_with_one_name_is_told_what_to_enter() -> None:
    problem = SignupForm(TYPED | {"last_name": ""}).errors["last_name"]

    assert problem == ["Enter your last name. If you have only one name, enter it here again."]


def test_in_test_mode_only_the_vendors_test_domain_is_accepted(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_TEST_ACCOUNTS = True

    assert set(SignupForm(TYPED | {"email": "anna@example.com"}).errors) == {"email"}
    assert "nullmailer.com" in SignupForm()["email"].help_text


@pytest.mark.parametrize("language", dict(configuration.LANGUAGES))
def test_states_are_grouped_by_country_name(
    language: str,
) -> None:
    """The script finds the states of the chosen country by this name."""
    with translation.override(language):
        countries = dict(SignupForm().fields["country_code"].widget.choices)
        states = SignupForm().fields["state_code"].widget.choices
        groups = [str(label) for label, names in states if isinstance(names, list)]

    assert groups == [countries["US"], countries["CA"]]


@pytest.mark.django_db
def test_with_single_sign_on_no_password_is_asked_for(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_IDP_PROVIDER = "alder"

    form = SignupForm({name: value for name, value in TYPED.items() if name != "password"})

    assert form.is_valid()
    assert [[field.name for field in fields] for _, fields in form.groups()][-1] == ["username"]
    assert "use it to log in" not in form["username"].help_text
    assert "use it to log in" in str(CorrectionForm(account("rejected"), {"username": "Taken"})["username"].help_text)


def test_a_state_left_over_from_another_country_is_dropped() -> None:
    form = SignupForm(TYPED | {"country_code": "DE", "state_code": "MA"})

    assert form.is_valid()
    assert form.cleaned_data["state_code"] == ""


def test_everything_but_the_password_is_shown_again() -> None:
    page = str(SignupForm(TYPED | {"email": "anna"}))

    assert CANARY not in page
    assert all(
        value.replace("'", "&#x27;") in page for name, value in TYPED.items() if name not in {"password", "email"}
    )


def test_a_form_sent_again_has_the_same_submission_id() -> None:
    submission = uuid.uuid4()

    assert SignupForm(TYPED | {"submission": str(submission)}).submission == submission


@pytest.mark.parametrize("broken", [None, "", "x", "\0", "1" * 10_000, "\ud800", 7])
def test_a_missing_or_invalid_submission_id_is_replaced(broken: Any) -> None:
    form = SignupForm(TYPED | {"submission": broken})

    assert form.is_valid()
    assert isinstance(form.submission, uuid.UUID)


@pytest.mark.django_db
class TestCorrection:
    def test_it_asks_only_for_refused_values_with_known_ones_filled_in(self) -> None:
        form = CorrectionForm(account("rejected", username="anna"), {"username": "json.min.length.violation"})

        assert list(form.fields) == ["username"]
        assert form["username"].value() == "anna"
        assert "It is too short." in str(form.errors["username"])

    @pytest.mark.parametrize(
        ("name", "key", "why"),
        [
            ("email", "json.email.invalid", " Check that it is spelled right, or enter another one."),
            ("last_name", "json.min.length.violation", " It is too short."),
            ("last_name", "json.regex.invalid", " It has characters that are not allowed."),
            ("phone", "json.regex.invalid", " Use only digits, spaces, and +\u00a0-\u00a0(\u00a0)"),
            ("email", "json.value.invalid", ""),
            ("email", "a.new.key", ""),
            ("email", "", ""),
        ],
    )
    def test_it_explains_the_refusal_in_our_words(self, name: str, key: str, why: str) -> None:
        assert CorrectionForm(account("rejected"), {name: key}).errors == {name: [f"{REFUSED[name]}{why}"]}

    @pytest.mark.parametrize("language", [code for code, _ in configuration.LANGUAGES if code != "en"])
    def test_our_words_are_translated(self, language: str) -> None:
        texts = [*REFUSED.values(), *KEYS.values(), *CHARACTERS.values()]
        english = [str(text) for text in texts]

        with translation.override(language):
            assert not set(english) & {str(text) for text in texts}

    def test_no_hint_contradicts_the_refusal(self) -> None:
        told = CorrectionForm(account("rejected"), {"password": "json.regex.invalid"})
        asked = CorrectionForm(account("rejected"), {"password": "json.value.invalid"})

        assert not told.fields["password"].help_text
        assert asked.fields["password"].help_text

    @pytest.mark.parametrize("name", rules.CUSTOMER_PROPERTIES)
    def test_it_has_a_text_for_the_refusal_of_each_property(self, name: str) -> None:
        assert str(REFUSED[name]) in str(CorrectionForm(account("rejected"), {name: ""}).errors[name])

    def test_it_asks_for_the_state_again_with_the_country(self) -> None:
        form = CorrectionForm(account("rejected"), {"country_code": "No."})

        assert list(form.fields) == ["country_code", "state_code"]

    def test_it_validates_the_state_with_the_known_country(self) -> None:
        rejected = account("rejected", country_code="CA", state_code="ON")
        refused = {"state_code": "No."}

        assert CorrectionForm(rejected, refused, {"state_code": "QC"}).is_valid()
        assert not CorrectionForm(rejected, refused, {"state_code": "MA"}).is_valid()

    def test_it_never_shows_the_password(self) -> None:
        form = CorrectionForm(account("rejected"), {"password": "Too weak."})

        assert CANARY not in str(form)
        assert list(form.errors) == ["password"]

    def test_it_asks_for_nothing_that_only_the_partner_can_fix(self) -> None:
        assert not CorrectionForm(account("rejected"), {"billing_locale": "No.", "colour": "No."}).fields


@pytest.mark.parametrize("language", dict(configuration.LANGUAGES))
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("country_code", None),
        ("country_code", ""),
        ("country_code", "DE"),
        ("country_code", "de"),
        ("state_code", "MA"),
        ("state_code", "ON"),
        ("state_code", '"><script>'),
    ],
)
def test_a_cached_list_equals_the_one_that_django_renders(language: str, name: str, value: str | None) -> None:
    with translation.override(language):
        ours = SignupForm().fields[name].widget
        djangos = forms.Select(ours.attrs, ours.choices)
        for chosen in (value, "", value):
            assertHTMLEqual(ours.render(name, chosen), djangos.render(name, chosen))


@pytest.mark.parametrize("value", ["", "Anna", '"><script>', True, False, None])
@pytest.mark.parametrize("name", [name for name in rules.CUSTOMER_PROPERTIES if not rules.RULES[name].codes])
def test_an_input_equals_the_one_that_django_renders(name: str, value: object) -> None:
    ours = SignupForm().fields[name].widget
    djangos = getattr(forms, type(ours).__name__)(ours.attrs)
    attributes = {"id": f"id_{name}", "aria-invalid": "true"}

    assertHTMLEqual(ours.render(name, value, attributes), djangos.render(name, value, attributes))


def test_the_one_time_id_of_a_form_cannot_be_guessed() -> None:
    """All 128 bits are random, unlike a version 4 UUID's."""
    ones, zeros = 0, (1 << 128) - 1
    for _ in range(200):
        number = SignupForm().submission.int
        ones, zeros = ones | number, zeros & number

    assert (ones, zeros) == ((1 << 128) - 1, 0)


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize(
    "typed",
    [
        {},
        {"organization_name": "<b>\"A\" & 'B'</b>", "country_code": "CA", "state_code": "QC", "gdpr_opt_out": "on"},
        {"country_code": '"><i>', "state_code": "XX", "phone": "0"},
    ],
)
def test_an_assembled_field_equals_the_one_that_django_renders(language: str, typed: dict[str, str]) -> None:
    with translation.override(language):
        form = SignupForm(typed)
        form.errors.clear()
        for field in form:
            rendered = render_to_string("signup/field.html", {"field": field})
            assert field.cached_html in {rendered, ""}  # type: ignore[attr-defined]
            assert bool(field.cached_html) == (field.name not in NEVER_CACHED)  # type: ignore[attr-defined]


def test_a_field_with_an_error_is_not_assembled() -> None:
    form = SignupForm({})

    assert not any(form[name].cached_html for name in form.errors)  # type: ignore[attr-defined]
