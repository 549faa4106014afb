"""Notes that staff write on an account, for their colleagues. They are entries in the audit trail."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from provisioning.admin.pages import require_permissions
from provisioning.admin_site import record
from provisioning.audit import NOTED
from provisioning.models import Account, AuditEntry

PERMISSION = "provisioning.note_account"


class NoteForm(forms.Form):
    note = forms.CharField(
        label="Note",
        max_length=AuditEntry._meta.get_field("note").max_length,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 40}),
        help_text="Only staff can read it. It can't be changed later, and is erased with the customer's data.",
    )


def may_note(request: HttpRequest, account: Account) -> bool:
    """Whether this staff member can write a note: not on an erased account, whose notes would never be erased."""
    return account.erased_at is None and request.user.has_perm(PERMISSION)


@transaction.atomic
def add_note(request: HttpRequest, pk: int) -> HttpResponse:
    require_permissions(request, PERMISSION)
    account = get_object_or_404(Account.objects.select_for_update(), pk=pk)  # It might be erased at this moment.
    form = NoteForm(request.POST)
    if not may_note(request, account):
        messages.warning(request, "No note was added: the account was erased.")
    elif not form.is_valid():
        messages.error(request, f"No note was added. {form.errors['note'][0]}")
    else:
        record(request, account, NOTED, note=form.cleaned_data["note"])
        messages.success(request, "The note was added.")
    return redirect("admin:provisioning_account_change", pk)
