"""The admin of legal texts, and what an account's page, list, and export say of agreements."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db import models
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from provisioning.admin import cells
from provisioning.admin.deletion import ExplainedDeletion
from provisioning.admin.model_admin import ModelAdmin
from provisioning.admin.reauthentication import SensitiveFields
from provisioning.admin.timeline import TimelineEntry
from provisioning.models import Account
from provisioning.templatetags.times import exact
from signup.brand.models import Brand
from signup.legal.models import Agreement, LegalText

ADD_BRAND = "admin:signup_brand_add"
ADD, CHANGE = "admin:signup_legaltext_add", "admin:signup_legaltext_change"
FIELDS = ("brand", "kind", "language", "version", "url", "text")
LANGUAGES = [("", "All languages"), *settings.LANGUAGES]


class LegalTextForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    class Meta:
        help_texts: ClassVar = {
            "kind": "Customers must accept your terms and your privacy policy. They may choose to get your marketing.",
        }

    language = forms.ChoiceField(
        choices=LANGUAGES,
        required=False,
        help_text="Customers see the text in their language, or else the one for all languages.",
    )
    publish = forms.BooleanField(
        required=False,
        help_text="From now on, customers accept this version instead of the earlier one. You can no longer edit it.",
    )


class Published(Exception):
    """A colleague has published the draft since the form was opened."""


class Accepted(Exception):
    """A customer has accepted the text since the page was opened."""


@admin.register(LegalText)
class LegalTextAdmin(ExplainedDeletion, SensitiveFields, ModelAdmin):
    """Drafts can be edited; what is published can only be replaced, and deleted as long as nobody has agreed to it."""

    form = LegalTextForm
    sensitive_fields = ("publish",)
    list_display = ("kind", "version", "brand", "language_name", "status")
    nothing_yet = "Customers are not asked to accept anything yet. Add your terms or your privacy policy."
    list_display_links = ("kind", "version")
    list_filter = ("brand", "kind")
    list_select_related = ("brand",)
    formfield_overrides = {models.URLField: {"assume_scheme": "https"}}

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        is_draft = self.has_change_permission(request, obj)
        if obj is None or is_draft:
            return [*FIELDS, "publish"]
        content = ["text"] if obj.text else []
        return ["status", "accepted", "brand", "kind", "language_name", "version", "page", *content, "sha256"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[LegalText]:
        in_force = LegalText.objects.in_force().filter(pk=OuterRef("pk"))
        texts: QuerySet[LegalText] = super().get_queryset(request)
        return texts.annotate(is_in_force=Exists(in_force))

    def formfield_for_foreignkey(self, db_field: Any, request: Any, **options: Any) -> Any:
        named: Any = {"empty_label": "Choose one"} if db_field.name == "brand" else {}
        field = super().formfield_for_foreignkey(db_field, request, **named | options)
        if field and db_field.name == "brand" and not Brand.objects.exists():
            field.help_text = format_html('There is none yet. <a href="{}">Add a brand</a>', reverse(ADD_BRAND))
        return field

    def formfield_for_choice_field(self, db_field: Any, request: Any, **options: Any) -> Any:
        options["choices"] = [("", "Choose one"), *db_field.choices]
        return super().formfield_for_choice_field(db_field, request, **options)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        """Offer what was typed as a new version if a colleague has published the text since the form was opened."""
        may_change = request.method == "POST" and super().has_change_permission(request)
        text = self.get_object(request, object_id) if object_id and may_change else None
        try:
            if text and text.published_at:
                raise Published
            return super().changeform_view(request, object_id, form_url, extra_context)
        except Published:
            published = (
                'Nothing was saved: a colleague has published <a href="{}">this text</a> in the meantime. '
                "To keep your changes, add them as a new version."
            )
            messages.warning(request, format_html(published, reverse(CHANGE, args=[object_id])))
            typed: Any = request.POST.copy()
            typed.pop("publish", None)
            request.method, request.GET = "GET", typed  # Django then fills in a new form with it, and saves nothing.
            return super().changeform_view(request, None, reverse(ADD), extra_context)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        text = self.get_object(request, object_id) if super().has_delete_permission(request) else None
        try:
            if text and text.agreements.exists():
                raise Accepted
            return super().delete_view(request, object_id, extra_context)
        except Accepted:
            messages.warning(request, "Nothing was deleted: a customer has accepted this text, so it must stay.")
            return redirect(CHANGE, object_id)

    def consequence(self, obj: Any) -> str:
        if not obj.is_in_force:
            return "It is not in force, so customers won't notice."
        return "It is in force. Customers will be asked to accept the version before it, if there is one."

    def save_model(self, request: HttpRequest, obj: LegalText, form: Any, change: bool) -> None:
        if change and not LegalText.objects.select_for_update().filter(pk=obj.pk, published_at=None).exists():
            raise Published
        if form.cleaned_data["publish"]:
            obj.publish(timezone.now())
        super().save_model(request, obj, form, change)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_draft = obj is None or obj.published_at is None
        return is_draft and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_used = obj is not None and obj.agreements.exists()
        return not is_used and super().has_delete_permission(request, obj)

    def delete_model(self, request: HttpRequest, obj: LegalText) -> None:
        locked = LegalText.objects.select_for_update().filter(pk=obj.pk).first()
        if locked and locked.agreements.exists():
            raise Accepted
        super().delete_model(request, obj)

    @admin.display(description="Language", ordering="language")
    def language_name(self, text: LegalText) -> str:
        return dict(LANGUAGES).get(text.language, text.language)

    @admin.display(description="State", ordering="published_at")
    def status(self, text: Any) -> SafeString:
        if not text.published_at:
            return cells.badge("queued", "Draft")
        published = f"published {exact(text.published_at)}"
        return (
            cells.badge("created", "In force", published)
            if text.is_in_force
            else cells.badge("closed", "Replaced", published)
        )

    @admin.display(description="Accepted")
    def accepted(self, text: LegalText) -> str:
        return "By customers, so it can't be deleted" if text.agreements.exists() else "By nobody yet"

    @admin.display(description="Customers read it at")
    def page(self, text: LegalText) -> SafeString | str:
        if not text.published_at:
            return "It is not published yet"
        return format_html('<a href="{0}" target="_blank" rel="noopener">{0}</a>', text.address)


class MarketingFilter(admin.SimpleListFilter):
    """Whether the customer wants the partner's own marketing."""

    title = "your marketing"
    parameter_name = "marketing"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [("yes", "Accepted"), ("no", "Not accepted")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Account]) -> QuerySet[Account]:
        accepted = Exists(Agreement.objects.filter(account=OuterRef("pk"), text__kind=LegalText.Kind.MARKETING))
        match self.value():
            case "yes":
                return queryset.filter(accepted)
            case "no":
                return queryset.exclude(accepted)
        return queryset


class AcceptedFilter(admin.SimpleListFilter):
    """Which text the customer accepted, in which version."""

    title = "accepted legal text"
    parameter_name = "accepted"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        published = LegalText.objects.exclude(published_at=None).select_related("brand").defer("text")
        has_brands = len({text.brand_id for text in published}) > 1
        return [(str(text.pk), f"{text.brand}: {text}" if has_brands else str(text)) for text in published]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Account]) -> QuerySet[Account]:
        chosen = self.value()
        if chosen is None or chosen not in dict(self.lookup_choices):
            return queryset
        return queryset.filter(Exists(Agreement.objects.filter(account=OuterRef("pk"), text=int(chosen))))


def timeline_entries(account: Account) -> list[TimelineEntry]:
    """Return what the customer agreed to, as entries of the account's timeline."""
    agreed: dict[Any, list[str]] = defaultdict(list)
    for each in account.agreements.select_related("text"):
        agreed[each.at].append(str(each.text))
    return [TimelineEntry(at, f"The customer accepted: {', '.join(texts)}.") for at, texts in agreed.items()]


def exported(keys: list[int]) -> dict[int, dict[str, Any]]:
    """Return what is exported of each account that has agreed to anything."""
    rows: dict[int, dict[str, Any]] = defaultdict(lambda: {"agreements": [], "marketing": False})
    for each in Agreement.objects.filter(account__in=keys).select_related("text").defer("text__text"):
        row, text = rows[each.account_id], each.text
        row["agreements"].append({"kind": text.kind, "version": text.version, "language": text.language, "at": each.at})
        row["marketing"] |= text.kind == LegalText.Kind.MARKETING
    return rows
