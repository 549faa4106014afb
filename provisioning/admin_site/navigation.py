"""The admin's navigation: sections with their pages, instead of Django's list of models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.contrib.admin.helpers import ActionForm
from django.contrib.admin.models import LogEntry
from django.contrib.admin.options import get_content_type_for_model
from django.contrib.admin.utils import label_for_field
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.urls import reverse
from django.utils.text import capfirst

from provisioning.admin_site import health

OPERATIONS = "Settings and health"
SECTIONS: Mapping[str, Mapping[str, str]] = {
    "Sign-ups": {"account": "Accounts", "auditentry": "Audit trail", "mail": "Emails"},
    "Brands": {"brand": "Brands", "legaltext": "Legal texts"},
    "Team": {"user": "Users", "group": "Roles", "totpdevice": "Authenticator apps", "apikey": "API keys"},
    OPERATIONS: {
        "diagnosis": "Installation check",
        "listentry": "Your account list",
        "listpass": "Account list reads",
        "worker": "Workers",
        "gateway": "Sending",
        "endpoint": "Event endpoints",
        "delivery": "Event deliveries",
        "noticerule": "Notices",
        "incident": "Incidents",
    },
}
"""Section → model → name of its list. Models that are not here are in the last section, under their own name."""
NAMES = {model: name for names in SECTIONS.values() for model, name in names.items()}


@dataclass(frozen=True)
class Link:
    """A page in the navigation. `current` is its `aria-current`; empty if another page is open."""

    name: str
    url: str
    current: str


@dataclass(frozen=True)
class Section(Link):
    pages: list[Link] = field(default_factory=list)


def navigation(request: HttpRequest, apps: list[dict[str, Any]]) -> Iterator[Section]:
    """Yield the sections that have a page for this staff member. `apps` is Django's list of what they may see."""
    overview = reverse("admin:index")
    yield Section("Overview", overview, "page" if request.path == overview else "")
    # Staff who may only add or delete rows have no list of them.
    lists = {model["object_name"].lower(): model for app in apps for model in app["models"] if model["admin_url"]}
    others = {key: model["name"] for key, model in lists.items() if key not in NAMES}
    for name, names in SECTIONS.items():
        inside = {**names, **others} if name == OPERATIONS else names
        pages = [_link(request, inside[key], lists[key]["admin_url"]) for key in inside if key in lists]
        if name == OPERATIONS and request.user.has_perm(health.PERMISSION):
            pages.insert(0, _link(request, "Health", reverse("admin:health")))
        if pages:
            yield Section(name, pages[0].url, next((page.current for page in pages if page.current), ""), pages)


def _link(request: HttpRequest, name: str, url: str) -> Link:
    """Return a link, which is current on its page and on all pages below it."""
    return Link(name, url, "page" if request.path == url else "true" if request.path.startswith(url) else "")


class LabeledActionForm(ActionForm):
    action = forms.ChoiceField(label="Action")


class NamedList:
    """Mixin that the site adds to every admin: its list has the name that it has in the navigation.

    On phones, a list's rows are cards, which say what each value is. A row's page leads to its history if it has one,
    and has one button to save it.
    """

    action_form = LabeledActionForm

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        changelist: ChangeList = super().get_changelist_instance(request)  # type: ignore[misc]
        names = changelist.opts
        changelist.title = NAMES.get(str(names.model_name), capfirst(str(names.verbose_name_plural)))
        values = [name for name in changelist.list_display if name not in (changelist.list_display_links or ())]
        labels = [(name, capfirst(label_for_field(name, changelist.model, self))) for name in values]  # type: ignore[call-overload]  # of an admin
        changelist.card_labels = labels  # type: ignore[attr-defined]
        return changelist

    def get_action_choices(self, request: HttpRequest, default_choices: Any = None) -> Any:
        return super().get_action_choices(request, default_choices or [("", "Choose an action")])  # type: ignore[misc]

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *rest: Any, **named: Any) -> Any:
        if row := context.get("original"):
            history = LogEntry.objects.filter(object_id=str(row.pk))
            context["history"] = history.filter(content_type=get_content_type_for_model(row))
        context["adminform"].form.label_suffix = ""  # Elsewhere, labels have no colon.
        context |= {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().render_change_form(request, context, *rest, **named)  # type: ignore[misc]
