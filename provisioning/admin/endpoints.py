"""Admins for events: the endpoints that receive them, and every delivery with its calls."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.defaultfilters import pluralize
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.urls.resolvers import URLPattern
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST

from provisioning.admin import cells
from provisioning.admin.deletion import ExplainedDeletion
from provisioning.admin.filters import titled
from provisioning.admin.model_admin import ModelAdmin
from provisioning.admin.readonly import CustomerDataReadOnly
from provisioning.admin.reauthentication import ReauthenticationRequired
from provisioning.admin_site import ask_to_reauthenticate, record
from provisioning.admin_site.words import display_value
from provisioning.events import endpoints, payload
from provisioning.events.models import EventType
from provisioning.models import Delivery, DeliveryAttempt, Endpoint, Event
from provisioning.sealed import CannotOpen
from provisioning.templatetags.times import exact, until

MAY_SEND_PERSONAL_FIELDS = "provisioning.export_account"
"""An endpoint with personal fields is an export of all new sign-ups, so it needs that permission too."""
MAY_REVEAL_SECRET = "provisioning.reveal_secret_endpoint"  # noqa: S105  # not a secret itself
SWITCH_ON_FIRST = "Nothing was sent. Switch the endpoint on first."


class EndpointForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    events = forms.MultipleChoiceField(
        choices=[(event.value, f"{event.label} ({event.value})") for event in EventType],
        widget=forms.CheckboxSelectMultiple,
    )


@admin.register(Endpoint)
class EndpointAdmin(ExplainedDeletion, ReauthenticationRequired, ModelAdmin):
    """The partner's systems that receive events. Staff decide where data goes only after they reauthenticate."""

    form = EndpointForm
    change_form_template = "admin/endpoint.html"
    list_display = ("name", "address", "status", "last_delivered")
    nothing_yet = "None of your systems gets events yet. Add an endpoint for the first one."
    editable = ("name", "url", "events", "host", "has_personal_fields")

    @admin.display(description="Host")
    def address(self, endpoint: Endpoint) -> str:
        return endpoint.address

    @admin.display(description="Events")
    def event_types(self, endpoint: Endpoint) -> str:
        return ", ".join(endpoint.events)

    @admin.display(description="Include personal fields")
    def personal_fields(self, endpoint: Endpoint) -> str:
        return display_value(endpoint.has_personal_fields).capitalize()

    @admin.display(description="State", ordering="is_on")
    def status(self, endpoint: Endpoint) -> SafeString:
        state, word, more = "created", "On", ""
        if not endpoint.is_on:
            state, word, more = "closed", "Off", endpoint.off_reason
        elif endpoint.failing_since:
            state, word, more = "rejected", "Failing", f"since {exact(endpoint.failing_since)}"
        return cells.badge(state, word, more)

    @admin.display(description="Last delivered")
    def last_delivered(self, endpoint: Any) -> SafeString | str:
        return cells.when(endpoint.last_done) if endpoint.last_done else "Never"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Endpoint]:
        done = Delivery.objects.filter(endpoint=OuterRef("pk"), state=Delivery.State.DELIVERED).order_by("-pk")
        rows: QuerySet[Endpoint] = super().get_queryset(request).defer("secret", "previous_secret")
        return rows.annotate(last_done=Subquery(done.values("done_at")[:1]))

    def get_fields(self, request: HttpRequest, obj: Endpoint | None = None) -> Any:
        """Show the whole URL only to those who may enter or change it: it may hold a token."""
        if self.has_change_permission(request, obj) if obj else self.has_add_permission(request):
            may = request.user.has_perm(MAY_SEND_PERSONAL_FIELDS)
            editable = self.editable if may else (*self.editable[:-1], "personal_fields")
            return editable if obj is None else (*editable, "status")
        return ("name", "address", "event_types", "host", "personal_fields", "status")

    def get_readonly_fields(self, request: HttpRequest, obj: Endpoint | None = None) -> Any:
        return ("address", "event_types", "status", "personal_fields")

    def has_change_permission(self, request: HttpRequest, obj: Endpoint | None = None) -> bool:
        """Whether staff may change an endpoint, also where its personal fields go if it gets any."""
        is_export = obj is not None and obj.has_personal_fields
        may = not is_export or request.user.has_perm(MAY_SEND_PERSONAL_FIELDS)
        return may and super().has_change_permission(request, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Name only the endpoints: there may be very many deliveries. Alone, they can't be deleted."""
        return [str(each) for each in objs], {self.opts.verbose_name_plural: len(objs)}, set(), []

    def consequence(self, obj: Endpoint) -> str:
        count = obj.deliveries.count()
        lost = f" The record of {count} {pluralize(count, 'delivery,deliveries')} will be deleted." if count else ""
        return f"No more events will be sent there.{lost}"

    def delete_model(self, request: HttpRequest, obj: Endpoint) -> None:
        endpoints.delete(obj)

    def save_model(self, request: HttpRequest, obj: Endpoint, form: Any, change: bool) -> None:
        if change:
            obj.save(update_fields=form.changed_data)  # It may have been switched off meanwhile.
        else:
            endpoints.give_secret(obj)
            super().save_model(request, obj, form, change)

    def response_add(self, request: HttpRequest, obj: Endpoint, *rest: Any, **named: Any) -> HttpResponse:
        if not request.user.has_perm(MAY_REVEAL_SECRET):
            return super().response_add(request, obj, *rest, **named)
        messages.success(
            request,
            f"{obj} was added. Give its receiver the signing secret, so that it can tell your events from forged ones.",
        )
        return redirect("admin:provisioning_endpoint_secret", obj.pk)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *rest: Any, **named: Any) -> Any:
        context["may_reveal"] = request.user.has_perm(MAY_REVEAL_SECRET)
        return super().render_change_form(request, context, *rest, **named)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<int:pk>/secret/", view(self.secret), name="provisioning_endpoint_secret"),
            path("<int:pk>/test/", view(self.send_test), name="provisioning_endpoint_test"),
            path("<int:pk>/switch/", view(self.switch), name="provisioning_endpoint_switch"),
            *super().get_urls(),
        ]

    @method_decorator(sensitive_variables("shown"))
    def secret(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the signing secret, or replace it, and record that."""
        if not request.user.has_perm(MAY_REVEAL_SECRET):
            raise PermissionDenied
        endpoint = get_object_or_404(Endpoint, pk=pk)
        if asked := ask_to_reauthenticate(request):
            return asked
        shown: list[str] = []
        if request.method == "POST":
            if "rotate" in request.POST:
                endpoints.rotate(endpoint)
                record(request, endpoint, "Signing secret replaced")
                endpoint.refresh_from_db()
            try:
                shown = payload.signing_keys(endpoint)
            except CannotOpen as problem:
                messages.error(request, str(problem))
            else:
                record(request, endpoint, "Signing secret shown")
        context = {"title": "Signing secret", "opts": Endpoint._meta, "original": endpoint, "secrets": shown}
        return TemplateResponse(request, "admin/endpoint_secret.html", admin.site.each_context(request) | context)

    @method_decorator(require_POST)
    def send_test(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Send a test event, and show its delivery to those who may see deliveries."""
        endpoint = self._changeable(request, pk)
        if not endpoint.is_on:
            messages.error(request, SWITCH_ON_FIRST)
            return redirect("admin:provisioning_endpoint_change", pk)
        delivery = endpoints.send_test(endpoint)
        record(request, endpoint, "Test event sent")
        if not self.admin_site.get_model_admin(Delivery).has_view_permission(request):
            messages.success(request, "A worker is sending the test event.")
            return redirect("admin:provisioning_endpoint_change", pk)
        messages.success(request, "A worker is sending the test event. Reload this page to see the answer.")
        return redirect("admin:provisioning_delivery_change", delivery.pk)

    @method_decorator(require_POST)
    def switch(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Switch an endpoint on or off."""
        endpoint = self._changeable(request, pk)
        if asked := ask_to_reauthenticate(request, reverse("admin:provisioning_endpoint_change", args=[pk])):
            return asked
        with transaction.atomic():
            (endpoints.switch_off if endpoint.is_on else endpoints.switch_on)(endpoint)
            word = "off" if endpoint.is_on else "on"
            record(request, endpoint, f"Switched {word}")
        messages.success(request, f"{endpoint} was switched {word}.")
        return redirect("admin:provisioning_endpoint_change", pk)

    def _changeable(self, request: HttpRequest, pk: int) -> Endpoint:
        if not self.has_change_permission(request):  # Before anything says whether there is such an endpoint.
            raise PermissionDenied
        endpoint = get_object_or_404(Endpoint, pk=pk)
        if not self.has_change_permission(request, endpoint):
            raise PermissionDenied
        return endpoint


@admin.register(Delivery)
class DeliveryAdmin(CustomerDataReadOnly, ModelAdmin):
    """Deliveries, and what each receiver answered."""

    change_form_template = "admin/delivery.html"
    list_display = ("event_type", "endpoint", "result", "answer", "when")
    nothing_yet = "No event has been sent to your systems yet."
    list_filter = (
        ("state", titled("state", admin.ChoicesFieldListFilter)),
        "endpoint",
        ("event__type", titled("event", admin.ChoicesFieldListFilter)),
    )
    list_select_related = ("event", "event__account", "endpoint")
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    search_fields = ("=event__uid", "=event__account__reference")
    search_help_text = "Enter a whole event ID, or a whole reference."
    fields = ("event_type", "webhook_id", "about", "endpoint", "result", "when")

    @admin.display(description="Event")
    def event_type(self, delivery: Delivery) -> str:
        return delivery.event.type

    @admin.display(description="Event ID")
    def webhook_id(self, delivery: Delivery) -> str:
        return delivery.event.webhook_id

    @admin.display(description="Account")
    def about(self, delivery: Delivery) -> SafeString | str:
        account = delivery.event.account
        if account is None:
            return ""
        url = reverse("admin:provisioning_account_change", args=[account.pk])
        return format_html('<a href="{}">{}</a>', url, account)

    @admin.display(description="State", ordering="state")
    def result(self, delivery: Delivery) -> SafeString:
        colors: dict[str, str] = {Delivery.State.DELIVERED: "created", Delivery.State.FAILED: "rejected"}
        more = f"next try {until(delivery.due_at)}" if delivery.due_at and delivery.tries else ""
        words = delivery.get_state_display()
        color = colors.get(delivery.state, "queued")
        return cells.badge(color, words, more)

    @admin.display(description="Last answer")
    def answer(self, delivery: Any) -> str:
        return f"HTTP {delivery.last_status}" if delivery.last_status else delivery.last_problem or ""

    @admin.display(description="Event time", ordering="pk")
    def when(self, delivery: Delivery) -> SafeString:
        return cells.when(delivery.event.at)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        calls = DeliveryAttempt.objects.filter(delivery=OuterRef("pk"), ended_at__isnull=False).order_by("-pk")
        rows: QuerySet[Delivery] = super().get_queryset(request).filter(endpoint__deleted_at=None)
        return rows.annotate(
            last_status=Subquery(calls.values("status")[:1]), last_problem=Subquery(calls.values("problem")[:1])
        )

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Delivery], search_term: str) -> Any:
        """Find deliveries by whole IDs only. Django would compare the text of every ID, without an index."""
        if not search_term.strip():
            return queryset, False
        try:
            uid = UUID(search_term.strip().removeprefix("msg_"))
        except ValueError:
            return queryset.none(), False
        events = [*Event.objects.filter(uid=uid), *Event.objects.filter(account__reference=uid)]
        return queryset.filter(event__in=events), False

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *rest: Any, **named: Any) -> Any:
        delivery: Delivery = named["obj"]
        context["attempts"] = delivery.attempts.all()
        is_over = delivery.state != Delivery.State.WAITING
        context["may_replay"] = is_over and request.user.has_perm("provisioning.replay_delivery")
        return super().render_change_form(request, context, *rest, **named)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.replay)
        return [path("<int:pk>/replay/", view, name="provisioning_delivery_replay"), *super().get_urls()]

    @method_decorator(require_POST)
    def replay(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Send a delivery again."""
        if not (self.has_view_permission(request) and request.user.has_perm("provisioning.replay_delivery")):
            raise PermissionDenied
        delivery = get_object_or_404(Delivery.objects.select_related("endpoint", "event"), pk=pk)
        if not delivery.endpoint.is_on:
            messages.error(request, SWITCH_ON_FIRST)
        elif endpoints.replay(delivery):
            record(request, delivery, "Sent again")
            messages.success(request, "A worker is sending it again. Reload this page to see the answer.")
        else:
            messages.warning(request, "Nothing was changed: it is already waiting to be sent.")
        return redirect("admin:provisioning_delivery_change", pk)
