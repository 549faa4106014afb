"""The page that reveals an access token, which gives access to the customer's account for ten years."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.debug import sensitive_variables

from provisioning.admin.pages import render_page, require_permissions
from provisioning.admin_site import ask_to_reauthenticate, record
from provisioning.models import Account
from provisioning.sealed import CannotOpen


@sensitive_variables("token")
def token(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the access token, and record that, to staff who may see it and have just confirmed that it's them."""
    require_permissions(request, "provisioning.reveal_oauth2_token")
    account = get_object_or_404(Account, pk=pk)
    if not account.oauth2_token:
        raise Http404
    if asked := ask_to_reauthenticate(request):
        return asked
    token = ""
    if request.method == "POST":
        try:
            token = account.oauth2_token.open()
        except CannotOpen as problem:
            messages.error(request, str(problem))
        else:
            record(request, account, "Access token shown")
    return render_page(request, "token", account, title=f"Access token of {account.organization_name}", token=token)
