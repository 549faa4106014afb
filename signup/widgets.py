"""Widgets that are rendered without templates, which would take most of a page's time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, cached_property
from typing import Any

from django import forms
from django.forms.renderers import BaseRenderer
from django.forms.utils import flatatt
from django.forms.widgets import Input
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from provisioning import rules

NOT_LISTED = "-"
"""A value that is no country's or state's code."""


class SelectWidget(forms.Select):
    """A select with hundreds of options. They are rendered once per language; each page only marks the chosen one."""

    def __init__(self, attrs: dict[str, Any], listed: Callable[[], rules.Choices]) -> None:
        super().__init__(attrs, lambda: [("", _("Choose one")), *listed()])  # type: ignore[arg-type]  # it may be called
        self.listed = listed

    def use_required_attribute(self, initial: Any) -> bool:
        return False  # None of our forms use it, and Django would go through all the options to find out.

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: BaseRenderer | None = None
    ) -> SafeString:
        start = format_html('<select name="{}"{}>', name, flatatt(self.build_attrs(self.attrs, attrs)))
        options = mark_chosen(_options(self.listed, get_language()), value)
        return mark_safe(f"{start}{options}\n</select>")  # noqa: S308  # rendered by Django, but for the mark


def mark_chosen(options: str, value: Any) -> str:
    """Mark the option with this value, if there is one."""
    option = format_html('<option value="{}"', "" if value is None else value)
    return options.replace(f"{option}>", f"{option} selected>", 1)


@cache
def _options(listed: Callable[[], rules.Choices], language: str) -> str:
    """Return the options of a select in the active language, `language`, with none chosen."""
    whole = super(SelectWidget, SelectWidget({}, listed)).render("", NOT_LISTED)
    return whole.partition(">")[2].removesuffix("\n</select>")


class TemplatelessInput(Input):
    """An input that is rendered without a template, because templates would take most of a page's time."""

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: BaseRenderer | None = None
    ) -> SafeString:
        widget = self.get_context(name, value, attrs)["widget"]
        own = {"type": widget["type"], "name": widget["name"], "value": widget["value"]}
        return format_html("<input{}{}{}>", flatatt(own), self._shared, flatatt(widget["attrs"]))

    def build_attrs(
        self, base_attrs: Mapping[str, Any], extra_attrs: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        return dict(extra_attrs or {})

    @cached_property
    def _shared(self) -> str:
        """The attributes that are the same on every page."""
        return flatatt(self.attrs)


class CheckboxInput(TemplatelessInput, forms.CheckboxInput):
    pass


class EmailInput(TemplatelessInput, forms.EmailInput):
    pass


class PasswordInput(TemplatelessInput, forms.PasswordInput):
    pass


class TextInput(TemplatelessInput, forms.TextInput):
    pass
