"""The hints for browsers say what the rules say."""

import re

import pytest
from django.conf import settings as configuration
from django.utils import translation

from provisioning import rules
from provisioning.rules import RULES, Rule


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_browser_hints_match_the_rules(rule: Rule) -> None:
    hints = rule.attributes()
    assert hints.get("data-max-length", str(rule.max_length)) == str(rule.max_length)
    assert "maxlength" not in hints  # With it, browsers cut off pasted text.
    if "pattern" in hints:
        assert re.fullmatch(hints["pattern"], "abc.1-x_@y")
        assert not re.fullmatch(hints["pattern"], "a!")


@pytest.mark.parametrize("language", dict(configuration.LANGUAGES))
@pytest.mark.parametrize("api", ["v2", "v3"])
def test_lists_of_allowed_characters_do_not_wrap(api: str, language: str) -> None:
    signs = re.compile(r"(?:[^\w\s]|_) (?:[^\w\s]|_)(?!\S)")
    with translation.override(language):
        told = [text for rule in rules.APIS[api].values() for text in (rule.help(), rule.characters_error())]

    assert [text for text in told if signs.search(text)] == []
    for list_of_signs in ("@ . - _", "+ ( ) - . / #"):
        assert list_of_signs.replace(" ", "\u00a0") in "".join(told)


def test_hints_help_phones_and_password_managers() -> None:
    assert RULES["phone"].help() == "With the country code, like +1 555 010 0199."
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
