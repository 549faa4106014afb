"""The fields of the sign-up page's forms, one for each property of an account. All limits are `provisioning.rules`."""

from __future__ import annotations

import secrets
from functools import cache
from typing import Any

from django import forms
from django.conf import settings
from django.template.loader import render_to_string
from django.utils.html import escape
from django.utils.safestring import mark_safe
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from provisioning import rules
from provisioning.rules.rule import Text
from signup.widgets import NOT_LISTED, CheckboxInput, EmailInput, PasswordInput, SelectWidget, TextInput, mark_chosen

LABELS = {
    "organization_name": _("Organization name"),
    "website": _("Website"),
    "country_code": _("Country"),
    "state_code": _("State or province"),
    "first_name": _("First name"),
    "last_name": _("Last name"),
    "email": _("Email address"),
    "phone": _("Phone number"),
    "username": _("Username"),
    "password": _("Password"),
    "gdpr_opt_out": _("I do not want marketing from Constant Contact"),
}

EASY = _("This password is easy to guess.")
"""A hint while typing. It doesn't block the form."""

LOG_IN = _("You will use it to log in.")
"""Added to the hint for a username that comes with a password."""

PLACEHOLDER = secrets.token_hex(16)
"""Stands for a value in a cached field. It is random, so nothing else in it can match."""
NEVER_CACHED = {"email", "username", "password"}
"""Fields that may also show suggestions, or a way to ignore a warning."""


class PropertyField(forms.Field):
    """A field for one property of an account. It accepts anything: `rules.clean` validates all properties together."""

    def __init__(self, rule: rules.Rule, note: Text = "") -> None:
        help_text = f"{rule.help()} {note}".strip()
        super().__init__(required=rule.required, label=LABELS[rule.name], help_text=help_text, widget=_widget(rule))
        self.rule = rule
        self.is_optional = not (rule.required or rule.codes or rule.kind is bool)

    def get_bound_field(self, form: forms.BaseForm, field_name: str) -> PropertyBoundField:
        return PropertyBoundField(form, self, field_name)

    def validate(self, value: object) -> None:
        pass


class PropertyBoundField(forms.BoundField):
    field: PropertyField

    @property
    def cached_html(self) -> str:
        """The rendered field, from the cache; empty if this page's field differs in more than its value."""
        if self.errors or self.name in NEVER_CACHED or settings.DEBUG:
            return ""
        value = self.value()
        html = _render(self.field.rule, get_language(), filled=bool(value))
        if self.field.rule.codes:
            return mark_safe(mark_chosen(html, value))  # noqa: S308  # rendered by Django, but for the mark
        return mark_safe(html.replace(PLACEHOLDER, escape(value)))  # noqa: S308


@cache
def _render(rule: rules.Rule, language: str, *, filled: bool) -> str:
    """Render the field in the active language, `language`; if `filled`, with a placeholder for its value."""
    value = {str: NOT_LISTED if rule.codes else PLACEHOLDER, bool: True}[rule.kind] if filled or rule.codes else None
    form = forms.Form(initial={rule.name: value}, use_required_attribute=False)
    form.fields[rule.name] = PropertyField(rule)
    return render_to_string("signup/field.html", {"field": form[rule.name]})


@cache
def field_of(rule: rules.Rule, language: str, *, logs_in: bool) -> PropertyField:
    """Return the field in the active language, `language`, for forms to copy. The copies share their widget."""
    return PropertyField(rule, LOG_IN if logs_in else "")


def _widget(rule: rules.Rule) -> forms.Widget:
    attributes: dict[str, Any] = {**rule.attributes()}
    if rule.required or rule.codes:  # Not `required`, for which some screen readers call an empty field invalid.
        attributes["aria-required"] = "true"
    if rule.characters:
        attributes["data-wrong-characters"] = rule.characters_error()
    if rule.is_secret:
        attributes["data-easy"] = str(EASY)
    if "data-max-length" in attributes:
        attributes["data-too-long"] = rule.too_long("{length}")
    if rule.kind is bool:
        return CheckboxInput(attributes)
    if rule.codes:
        return SelectWidget(attributes, rule.choices)
    if rule.is_secret:
        return PasswordInput(attributes)
    if rule.is_email:
        return EmailInput(attributes)
    return TextInput(attributes)
