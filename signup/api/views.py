"""The API's endpoints. Each calls a function of `provisioning.services`, as the page and the admin do."""

from __future__ import annotations

import json
from uuid import UUID

from django.core.cache import caches
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import get_language
from django.views.decorators.debug import sensitive_variables

from provisioning import services
from provisioning.models import Account
from signup import legal
from signup.api import bodies, creation, listing, operations, representation, validation
from signup.api.access import Handler
from signup.api.models import ApiKey
from signup.api.problems import Problem
from signup.brand.models import brand_at


@sensitive_variables("body")
def create(request: HttpRequest, key: ApiKey) -> HttpResponse:
    submission = creation.submission_of(request, key)
    body = bodies.read(request, validation.properties())
    account = creation.sent_before(submission, body) or creation.create(request, key, submission, body)
    return JsonResponse(
        representation.represent_in_full(account),
        status=202,
        headers={"Location": representation.address(request, account)},
    )


def read(request: HttpRequest, key: ApiKey, reference: UUID) -> HttpResponse:
    return JsonResponse(representation.represent_in_full(find(key, reference)))


def read_list(request: HttpRequest, key: ApiKey) -> HttpResponse:
    page = listing.page(key, request.GET)
    return JsonResponse({"items": [representation.represent(account) for account in page.accounts], "next": page.next})


def read_legal_texts(request: HttpRequest, key: ApiKey) -> HttpResponse:
    """Show what a customer has to accept, for a page of the partner's own."""
    language = listing.language_of(request.GET)
    host = creation.host_of(request, key)
    texts = legal.in_language(brand_at(host), language)
    return JsonResponse(
        {"items": [representation.represent_text(text, f"{request.scheme}://{host}/") for text in texts]}
    )


@sensitive_variables("values")
def correct(request: HttpRequest, key: ApiKey, reference: UUID) -> HttpResponse:
    account = find(key, reference)
    values = bodies.read(request, services.correctable(account))
    operations.correct(key, account, values)
    return read(request, key, reference)


def act(verb: str) -> Handler:
    """Return what answers a verb of staff."""

    def handler(request: HttpRequest, key: ApiKey, reference: UUID) -> HttpResponse:
        account = find(key, reference)
        values = bodies.read(request, operations.VERBS[verb].form.base_fields, may_be_empty=True)
        operations.act(key, account, verb, values)
        return read(request, key, reference)

    return handler


def openapi(request: HttpRequest) -> HttpResponse:
    """Return the OpenAPI document. Anyone may request it, and building it is slow, so each process caches it."""
    text = caches["pages"].get_or_set(f"openapi-{get_language()}", _openapi)
    return HttpResponse(text, content_type="application/vnd.oai.openapi+json;version=3.1")


def _openapi() -> str:
    from signup.api import document  # Few ask for it.

    return json.dumps(document.build(), cls=DjangoJSONEncoder)


def find(key: ApiKey, reference: UUID) -> Account:
    """Return the sign-up, if this key may see it. Raises Problem."""
    account = key.accounts().filter(reference=reference).first()
    if account is None:
        raise Problem("not_found")
    return account
