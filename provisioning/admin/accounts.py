"""The admin for accounts: their list, and the page of one with everything that is known of it."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Case, OuterRef, QuerySet, Subquery, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.urls.resolvers import URLPattern
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from provisioning import rules, search
from provisioning.admin.action_views import account_action, bulk_action
from provisioning.admin.actions import ACTIONS, offered
from provisioning.admin.attribution import ATTRIBUTION_FILTERS, attribution_links
from provisioning.admin.cells import badge, two_lines, when
from provisioning.admin.changelist import AccountList, ShortPaginator
from provisioning.admin.columns import USUAL, chosen_columns, column_choices, save_columns
from provisioning.admin.correction import correct, is_correctable
from provisioning.admin.dates import SubmittedFilter
from provisioning.admin.decision import decide
from provisioning.admin.exports import NO_EXTRA_COLUMNS, export
from provisioning.admin.filters import (
    AssigneeFilter,
    BrandFilter,
    CountryFilter,
    QuestionFilter,
    RefusedFilter,
    StateTabs,
)
from provisioning.admin.held import held
from provisioning.admin.model_admin import ModelAdmin
from provisioning.admin.notes import NoteForm, add_note, may_note
from provisioning.admin.pages import require_permissions, version_of
from provisioning.admin.readonly import ReadOnly
from provisioning.admin.timeline import TimelineEntry, outlook, timeline
from provisioning.admin.token import token
from provisioning.admin_site.sessions import BACKGROUND
from provisioning.audit import name_of
from provisioning.models import Account, Attempt
from provisioning.sealed import NOTHING
from provisioning.templatetags.names import breakable
from provisioning.templatetags.times import duration

State = Account.State


class AccountAdmin(ReadOnly, ModelAdmin):
    """Accounts, read-only. Only actions change them, by calling `services`.

    `signup.admin` adds the customer's side, and registers it.
    """

    list_display = USUAL
    list_display_links = ("customer",)
    list_per_page = 50
    list_filter: ClassVar[Any] = (
        ("state", StateTabs),
        QuestionFilter,
        AssigneeFilter,
        RefusedFilter,
        BrandFilter,
        CountryFilter,
        *ATTRIBUTION_FILTERS,
        ("submitted_at", SubmittedFilter),
    )
    nothing_yet = "Nobody has signed up yet. Each sign-up appears here as soon as its form is sent."
    search_fields = search.COLUMNS
    search_help_text = search.HELP
    extra_columns = NO_EXTRA_COLUMNS
    paginator = ShortPaginator
    sortable_by = ("submitted",)
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    fields = readonly_fields = (
        "reference",
        "account_id",
        "partner_account_id",
        "has_token",
        "username",
        "idp_provider_id",
        "owner",
        "email",
        "phone",
        "website",
        "place",
        "marketing",
        "host",
        "submitted",
        "took",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        """Leave secrets out: of a token, the database only says whether there is one."""
        last = Attempt.objects.filter(account=OuterRef("pk")).order_by("-started_at", "-pk")
        accounts: QuerySet[Account] = super().get_queryset(request)
        return (
            accounts.select_related("assignee")
            .defer("password", "oauth2_token", "assignee__password")
            .annotate(
                has_token=Case(When(oauth2_token=NOTHING, then=Value(False)), default=Value(True)),
                last_outcome=Subquery(last.values("outcome")[:1]),
            )
        )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        actions = [
            path(
                f"<int:pk>/{action.name}/",
                view(partial(account_action, action=action)),
                name=f"provisioning_account_{action.name}",
            )
            for action in ACTIONS
        ]
        return [
            path("export.<str:kind>", view(partial(export, self)), name="provisioning_account_export"),
            path("columns/", view(require_POST(save_columns)), name="provisioning_account_columns"),
            path("<int:pk>/note/", view(require_POST(add_note)), name="provisioning_account_note"),
            path("held/", view(held), name="provisioning_account_held"),
            path("<int:pk>/correct/", view(correct), name="provisioning_account_correct"),
            path("<int:pk>/decide/", view(decide), name="provisioning_account_decide"),
            path("<int:pk>/token/", view(token), name="provisioning_account_token"),
            *actions,
            *super().get_urls(),
        ]

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        return chosen_columns(request)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        states = set(request.GET.getlist("state__exact"))
        return {
            action.name: (partial(bulk_action, action=action), action.name, action.label)
            for action in ACTIONS
            if request.user.has_perm(action.permission) and (not states or states & action.states)
        }

    def response_action(self, request: HttpRequest, queryset: QuerySet[Account], *rest: Any, **named: Any) -> Any:
        """Act on the accounts that staff chose, even if they no longer match the list's filter.

        Otherwise, accounts that a colleague has changed meanwhile would be skipped without a message.
        """
        everything = request.POST.get("select_across") == "1"
        return super().response_action(request, queryset if everything else self.get_queryset(request), *rest, **named)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[AccountList]:
        return AccountList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Account], search_term: str
    ) -> tuple[QuerySet[Account], bool]:
        return search.matching(queryset, search_term) if search_term else queryset, False

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Redirect to the account's page, which shows its history."""
        require_permissions(request)
        return redirect("admin:provisioning_account_change", object_id)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if "index" in request.POST and ACTION_CHECKBOX_NAME not in request.POST:
            messages.warning(request, "Nothing was done. Select at least one account first.")
            return redirect(request.get_full_path())
        may_export = request.user.has_perm("provisioning.export_account")
        context: dict[str, Any] = {
            "may_export": may_export,
            "columns": column_choices(self, self.get_list_display(request)),
        }
        if BACKGROUND in request.headers:
            context["messages"] = ()  # Leave them to the page that they are for.
        return super().changelist_view(request, context | (extra_context or {}))

    def get_timeline(self, account: Account) -> list[TimelineEntry]:
        """Return what happened to an account, oldest first. Subclasses add what they know."""
        return timeline(account)

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        context |= {
            "title": obj.organization_name,
            "subtitle": None,
            "timeline": self.get_timeline(obj),
            "outlook": outlook(obj),
            "attribution": attribution_links(obj),
            "actions": offered(obj, request),
            "may_correct": request.user.has_perm("provisioning.correct_account") and is_correctable(obj),
            "may_decide": request.user.has_perm("provisioning.correct_account") and obj.state == State.UNCONFIRMED,
            "may_reveal": obj.has_token and request.user.has_perm("provisioning.reveal_oauth2_token"),
            "seen": version_of(obj),
            "may_assign": request.user.has_perm("provisioning.assign_account"),
            "note_form": NoteForm() if may_note(request, obj) else None,
        }
        return super().render_change_form(request, context, add, change, form_url, obj)

    @admin.display(description="State")
    def colored_state(self, account: Account) -> SafeString:
        return badge(account.state, account.get_state_display())

    @admin.display(description="Last answer", empty_value="")
    def last_answer(self, account: Account) -> str | None:
        outcome: str | None = account.last_outcome  # type: ignore[attr-defined]  # annotated by get_queryset
        return None if outcome is None else str(Attempt.Outcome(outcome).label if outcome else "No answer yet")

    @admin.display(description="Organization, username")
    def customer(self, account: Account) -> SafeString:
        return two_lines(account.organization_name, breakable(account.username))

    @admin.display(description="Assigned to")
    def assigned_to(self, account: Account) -> SafeString | str:
        return breakable(name_of(account.assignee)) if account.assignee else ""

    @admin.display(description="Country")
    def country(self, account: Account) -> SafeString:
        return format_html('<abbr title="{}">{}</abbr>', rules.country_name(account.country_code), account.country_code)

    @admin.display(description="Signed up", ordering="submitted_at")
    def submitted(self, account: Account) -> SafeString:
        return when(account.submitted_at)

    @admin.display(description="Access token")
    def has_token(self, account: Account) -> str:
        return "stored" if account.has_token else "none"  # type: ignore[attr-defined]

    @admin.display(description="Name")
    def owner(self, account: Account) -> str:
        return f"{account.first_name} {account.last_name}".strip()

    @admin.display(description="Location")
    def place(self, account: Account) -> str:
        state = rules.states(account.country_code).get(account.state_code, "")
        country = rules.country_name(account.country_code) or account.country_code
        return f"{state}, {country}" if state else country

    @admin.display(description="Marketing by Constant Contact")
    def marketing(self, account: Account) -> str:
        return "declined" if account.gdpr_opt_out else "allowed"

    @admin.display(description="Time until created")
    def took(self, account: Account) -> str:
        return duration(account.created_at - account.submitted_at) if account.created_at else ""
