"""Admins for notices: rules about who is notified of what, and the incidents."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from provisioning.admin import cells
from provisioning.admin.actions import StaffField
from provisioning.admin.deletion import ExplainedDeletion
from provisioning.admin.model_admin import ModelAdmin
from provisioning.admin.readonly import ReadOnly
from provisioning.admin.reauthentication import ReauthenticationRequired
from provisioning.events.addresses import check_url
from provisioning.models import Incident, NoticeRule
from provisioning.notices.next_steps import next_step
from provisioning.sealed import NOTHING, Sealed

Channel = NoticeRule.Channel
ENTERED = ("name", "incidents", "when", "channel", "user", "url")
"""The columns that the form fills. Workers write the others."""


class RuleForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    incidents = forms.MultipleChoiceField(
        label="Incidents", choices=Incident.Kind.choices, widget=forms.CheckboxSelectMultiple
    )
    user = StaffField(label="Person", help_text="For email only. This person needs an email address.")
    webhook = forms.CharField(
        label="Webhook URL",
        required=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="For Slack or Teams only: the URL of the channel's incoming webhook. It is stored encrypted and "
        "never shown again. When you change a rule, leave this empty to keep its URL.",
    )

    def clean_webhook(self) -> str:
        url: str = self.cleaned_data["webhook"].strip()
        if url:
            try:
                check_url(url)
            except ValidationError as error:
                raise ValidationError(error.messages) from None
        return url

    def clean(self) -> None:
        channel, user = self.cleaned_data.get("channel"), self.cleaned_data.get("user")
        if channel == Channel.EMAIL and not settings.EMAIL_URL:
            self.add_error("channel", "There is no mail server: set EMAIL_URL first, or choose Slack or Teams.")
        if channel == Channel.EMAIL and not (user and user.email):
            self.add_error("user", "Choose a person who has an email address.")
        if channel != Channel.EMAIL and not (self.cleaned_data.get("webhook") or self.instance.url):
            self.add_error("webhook", "Enter the URL of the channel's incoming webhook.")


@admin.register(NoticeRule)
class NoticeRuleAdmin(ExplainedDeletion, ReauthenticationRequired, ModelAdmin):
    """Who hears of what. Staff decide where notices go only after they reauthenticate."""

    form = RuleForm
    list_display = ("name", "channel", "when", "kinds", "result")
    nothing_yet = "Nobody gets notices yet. Add a rule that says who gets them, and about what."
    fields = ("name", "incidents", "when", "channel", "user", "webhook", "result")
    readonly_fields = ("result", "kinds")

    def get_fields(self, request: HttpRequest, obj: NoticeRule | None = None) -> Any:
        """Leave out the last notice of a rule that is being added."""
        return self.fields if obj else self.fields[:-1]

    @admin.display(description="Incidents")
    def kinds(self, rule: NoticeRule) -> str:
        return "; ".join(Incident.Kind(kind).label for kind in rule.incidents)

    @admin.display(description="Last notice")
    def result(self, rule: NoticeRule) -> SafeString | str:
        if rule.problem:
            return cells.badge("rejected", "Failed", rule.problem)
        return cells.when(rule.notified_at) if rule.notified_at else "None yet"

    def consequence(self, obj: NoticeRule) -> str:
        return "Nobody will get notices by this rule anymore."

    def save_model(self, request: HttpRequest, obj: NoticeRule, form: Any, change: bool) -> None:
        if obj.channel == Channel.EMAIL:
            obj.url = NOTHING
        elif url := form.cleaned_data["webhook"]:
            obj.url = Sealed.of(url)
        # A worker may have planned the day's digest meanwhile, or sent a notice.
        obj.save(update_fields=ENTERED if change else None)


@admin.register(Incident)
class IncidentAdmin(ReadOnly, ModelAdmin):
    """What needed staff, and when, for everyone who may view the gateway."""

    view_permission = "provisioning.view_gateway"
    list_display = ("kind", "detail", "begun", "ended")
    fields = (*list_display, "to_do")
    nothing_yet = "There has been no incident yet. Incidents are recorded once there is a rule for notices."
    list_filter = ("kind",)

    @admin.display(description="Began", ordering="begun_at")
    def begun(self, incident: Incident) -> SafeString:
        return cells.when(incident.begun_at)

    @admin.display(description="Ended", ordering="ended_at")
    def ended(self, incident: Incident) -> SafeString:
        return cells.when(incident.ended_at) if incident.ended_at else cells.badge("rejected", "Ongoing")

    @admin.display(description="What to do")
    def to_do(self, incident: Incident) -> SafeString | str:
        step = next_step(incident)
        return "" if incident.ended_at else format_html('<a href="{}">{}</a>', step.url, step.advice)
